// Large messages: their body is WebCrypto's, AES-256-GCM and SHA-256, which is dozens of times
// as fast as Go's in wasm and leaves the main thread free. All else stays in the core, which is
// asked in steps (wasm/internal/core/steps.go). Both ways give the same bytes.
import { free, theCore } from "./core.js";
import { wrap } from "./errors.js";
import { op } from "./ops.js";

// From this size on, in bytes, WebCrypto is faster in Node and in Chromium, on a machine that is
// busy too (docs/benchmarks.md): its three calls take 200 µs, and longer where others want the
// processors. The core takes some 45 µs for a KiB.
export const threshold = 16 << 10;

export const isLarge = ({ length }) => length >= threshold && globalThis.crypto?.subtle !== undefined;

// sealInSteps takes the fields of a sealer. It returns a promise, and null where only the core
// seals this. The plaintext is copied before it returns.
export function sealInSteps(sealer, plaintext) {
  const core = theCore();
  const started = core.call(op.sealBegin, [...sealer, Math.min(plaintext.length, 2 ** 32 - 1)]);
  const handle = started.number();
  return handle === 0 ? null : sealBegun(core, handle, started, plaintext);
}

async function sealBegun(core, handle, started, plaintext) {
  let body;
  try {
    body = bodyOf(started);
    const [before, after, head] = [started.bytes(), started.bytes(), started.bytes()];
    const padded = pad(plaintext, started.number(), started.number());
    started.wipe();
    const ciphertext = await encrypt(body, padded);
    const tail = core.call(op.sealEnd, [handle, await digest(concat(before, ciphertext, after))]).bytes();
    return concat(head, ciphertext, tail);
  } finally {
    started.wipe();
    body?.raw.fill(0);
    free(core, handle);
  }
}

// openInSteps takes the operation that begins, and the fields of an opener. It returns null where only the core opens this,
// else a promise of the data and of the response that goes on with the header.
export function openInSteps(begin, opener, sealed) {
  const core = theCore();
  const started = core.call(begin, [...opener, sealed]);
  const handle = started.number();
  return handle === 0 ? null : openBegun(core, handle, started, sealed);
}

async function openBegun(core, handle, started, sealed) {
  try {
    const [before, after, at, size] = [started.bytes(), started.bytes(), started.number(), started.number()];
    const proved = concat(before, sealed.subarray(at, at + size), after)
    const verified = core.call(op.openVerify, [handle, await digest(proved)]);
    const key = bodyOf(verified);
    const start = verified.number();
    verified.wipe();
    const padded = await decrypt(key, proved.subarray(before.length + start, before.length + size));
    return opened(core, handle, padded);
  } finally {
    free(core, handle);
  }
}

// opened copies the data before the core claims the message: memory may be short, and it opens once.
function opened(core, handle, padded) {
  let data;
  try {
    data = padded.slice(4, 4 + lengthIn(padded));
    return { data, response: core.call(op.openEnd, [handle, padded]) };
  } catch (error) {
    data?.fill(0);
    throw error instanceof RangeError ? notTaken(error) : error;
  } finally {
    padded.fill(0);
  }
}

// lengthIn reads what the core has not judged yet.
function lengthIn(padded) {
  return padded.length < 4 ? 0 : new DataView(padded.buffer, padded.byteOffset).getUint32(0) & 0x7fffffff;
}

const bodyOf = (response) => ({ raw: response.bytes(), iv: response.bytes(), additionalData: response.bytes() });

function pad(plaintext, length, size) {
  const padded = new Uint8Array(size);
  new DataView(padded.buffer).setUint32(0, length);
  padded.set(plaintext, 4);
  return padded;
}

async function encrypt(body, padded) {
  try {
    const key = await importKey(body, "encrypt");
    const ciphertext = new Uint8Array(await taken(() => crypto.subtle.encrypt(algorithm(body), key, padded)));
    if (ciphertext.length !== padded.length + tagSize) throw notTaken(new Error("the ciphertext has another size"));
    return ciphertext;
  } finally {
    padded.fill(0);
  }
}

// decrypt returns nothing for a body that does not open: the core says so.
async function decrypt(body, ciphertext) {
  const key = await importKey(body, "decrypt");
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm(body), key, ciphertext));
  } catch (cause) {
    if (cause?.name === "OperationError") return new Uint8Array(0);
    throw notTaken(cause);
  }
}

const tagSize = 16;

// taken is for what fails only where memory is short.
async function taken(ask) {
  try {
    return await ask();
  } catch (cause) {
    throw notTaken(cause);
  }
}

const notTaken = (cause) => wrap("too-large", "WebCrypto did not take a body of this size", cause);

const algorithm = ({ iv, additionalData }) => ({ name: "AES-GCM", iv, additionalData, tagLength: 128 });

async function importKey({ raw }, usage) {
  try {
    return await taken(() => crypto.subtle.importKey("raw", raw, "AES-GCM", false, [usage]));
  } finally {
    raw.fill(0);
  }
}

const digest = async (bytes) => new Uint8Array(await taken(() => crypto.subtle.digest("SHA-256", bytes)));

function concat(...parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
