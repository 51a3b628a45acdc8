// Large messages: what WebCrypto does and what the core does alone are the same.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { call } from "../core.js";
import { Identity, init, open, seal, SharedKeyset } from "../index.js";
import { op } from "../ops.js";
import { threshold } from "../webcrypto.js";
import { anyTime, rejects } from "./helpers.mjs";

let ann, bob, shared;
const guard = anyTime;

before(async () => {
  await init();
  [ann, bob] = await Promise.all(["ann", "bob"].map((n) => Identity.generate(n)));
  shared = await SharedKeyset.generate();
});

const suites = {
  recipients: () => [{ from: ann, to: [bob.public] }, { identity: bob, from: ann.public }],
  shared: () => [{ shared, party: "x", toParty: "y" }, { shared, party: "y", fromParty: "x" }],
  "shared-signed": () => [{ shared, from: ann, toParty: "y" }, { shared, party: "y", identity: bob, from: ann.public }],
};

const patterned = (size) => new Uint8Array(size).map((_, i) => i ^ (i >> 8));

// inCore hides WebCrypto for what run begins.
async function inCore(run) {
  Object.defineProperty(crypto, "subtle", { value: undefined, configurable: true });
  try {
    return await run();
  } finally {
    delete crypto.subtle;
  }
}

// counted returns how often WebCrypto encrypted, decrypted and digested.
async function counted(run) {
  const counts = [];
  const methods = ["encrypt", "decrypt", "digest"];
  for (const name of methods) {
    const original = crypto.subtle[name];
    crypto.subtle[name] = (...args) => {
      counts.push(name);
      return original.apply(crypto.subtle, args);
    };
  }
  try {
    await run();
  } finally {
    for (const name of methods) delete crypto.subtle[name];
  }
  return counts.join(" ");
}

for (const [suite, sides] of Object.entries(suites)) {
  test(`suite ${suite}: each way opens what the other seals, from the threshold on`, async () => {
    const [sealer, opener] = sides();
    for (const size of [threshold - 1, threshold, threshold + 1, 70_000, 1 << 20]) {
      const plaintext = patterned(size);
      let sealed;
      const used = await counted(async () => (sealed = await seal(plaintext, { ...sealer, context: "c", contentType: "t" })));
      assert.equal(used, size < threshold ? "" : "encrypt digest");
      const inside = await inCore(() => seal(plaintext, { ...sealer, context: "c", contentType: "t" }));
      assert.equal(sealed.length, inside.length);
      for (const message of [sealed, inside]) {
        const options = async () => ({ ...opener, context: "c", replay: await guard() });
        const [a, b] = [await open(message, await options()), await inCore(async () => open(message, await options()))];
        assert.deepEqual(a, b);
        assert.deepEqual(a.data, plaintext);
        assert.equal(a.data.buffer.byteLength, size);
      }
    }
    const sealed = await seal(patterned(70_000), sealer);
    const replay = await guard();
    assert.equal(await counted(() => open(sealed, { ...opener, replay })), "digest decrypt");
  });

  test(`suite ${suite}: each way refuses the same for the same reason`, async () => {
    const [sealer, opener] = sides();
    const sealed = await seal(patterned(threshold), sealer);
    const refused = async (message) => (await rejects(open(message, { ...opener, replay: await guard() }), "open-failed")).reason;
    const inBody = (i) => i > 2000 && i < sealed.length - 100;
    for (let i = 0; i < sealed.length; i += inBody(i) ? 997 : 1 + (i % 29)) {
      const changed = sealed.slice();
      changed[i] ^= 1;
      assert.equal(await refused(changed), await inCore(() => refused(changed)), `byte ${i}`);
    }
    assert.equal(await refused(sealed.subarray(0, sealed.length - 1)), "malformed");
  });

  test(`suite ${suite}: bytes are copied on the call, and nothing stays in the core`, async () => {
    const [sealer, opener] = sides();
    const replay = await guard();
    const plaintext = patterned(threshold);
    const sealing = seal(plaintext, sealer);
    plaintext.fill(0);
    const sealed = await sealing;
    const opening = open(sealed, { ...opener, replay });
    sealed.fill(0);
    assert.deepEqual((await opening).data, patterned(threshold));
    const last = call(op.guardCreate, 0, 0).number();
    for (const handle of [last - 1, last - 2]) {
      assert.throws(() => call(op.sealEnd, handle, new Uint8Array(32)), { code: "closed" });
      assert.throws(() => call(op.openVerify, handle, new Uint8Array(32)), { code: "closed" });
    }
  });

  test(`suite ${suite}: of two openings at once, one opens`, async () => {
    const [sealer, opener] = sides();
    const sealed = await seal(patterned(threshold), sealer);
    const options = { ...opener, replay: await guard() };
    const both = await Promise.allSettled([open(sealed, options), open(sealed, options)]);
    assert.deepEqual(both.map(({ reason }) => reason?.reason ?? "opened").sort(), ["opened", "replay"]);
  });
}

test("a WebCrypto that does not take a body is named", async () => {
  const original = crypto.subtle.digest;
  crypto.subtle.digest = async () => {
    throw new Error("out of memory");
  };
  try {
    const error = await rejects(seal(patterned(threshold), { from: ann, to: [bob.public] }), "too-large");
    assert.equal(error.cause.message, "out of memory");
  } finally {
    crypto.subtle.digest = original;
    delete crypto.subtle.digest;
  }
});

// instead has a method of WebCrypto do something else for what run begins.
async function instead(name, method, run) {
  crypto.subtle[name] = method;
  try {
    return await run();
  } finally {
    delete crypto.subtle[name];
  }
}

// Nothing of it stays: neither in the core, nor a body's key in the page.
test("a WebCrypto that fails or answers wrongly, at each call, costs that message alone", async () => {
  const plaintext = patterned(threshold);
  const sealed = await seal(plaintext, { from: ann, to: [bob.public] });
  const { importKey } = crypto.subtle;
  const raw = [];
  const keep = (format, key, ...rest) => (raw.push(key), importKey.call(crypto.subtle, format, key, ...rest));
  const failures = {
    "throws": () => { throw new Error("no"); },
    "rejects": async () => { throw new Error("no"); },
    "rejects with nothing": () => Promise.reject(),
    "gives nothing": async () => new ArrayBuffer(0),
    "gives less": async () => new ArrayBuffer(31),
    "gives more": async () => new ArrayBuffer(1 << 20),
    "gives no bytes": async () => undefined,
  };
  const runs = [
    ["encrypt", () => seal(plaintext, { from: ann, to: [bob.public] })],
    ["decrypt", async () => open(sealed, { identity: bob, from: ann.public, replay: await guard() })],
    ["digest", () => seal(plaintext, { from: ann, to: [bob.public] })],
    ["digest", async () => open(sealed, { identity: bob, from: ann.public, replay: await guard() })],
    ["importKey", () => seal(plaintext, { from: ann, to: [bob.public] })],
    ["importKey", async () => open(sealed, { identity: bob, from: ann.public, replay: await guard() })],
  ];
  for (const [name, run] of runs) {
    for (const [what, method] of Object.entries(failures)) {
      const before = call(op.guardCreate, 0, 0).number();
      const fails = () => instead(name, method, () => assert.rejects(run(), { name: "HopsealError" }, `${name} ${what}`));
      await (name === "importKey" ? fails() : instead("importKey", keep, fails));
      const last = call(op.guardCreate, 0, 0).number();
      for (let handle = before + 1; handle < last; handle++) {
        assert.throws(() => call(op.sealEnd, handle, new Uint8Array(32)), { code: "closed" });
        assert.throws(() => call(op.openEnd, handle, new Uint8Array(64)), { code: "closed" });
      }
    }
  }
  assert.ok(raw.length > 0 && raw.every((key) => key.every((b) => b === 0)));
  assert.deepEqual((await open(sealed, { identity: bob, from: ann.public, replay: await guard() })).data, plaintext);
});

test("the plaintext of a message that is refused at the end does not stay", async () => {
  const sealed = await seal(patterned(threshold), { from: ann, to: [bob.public] });
  const options = { identity: bob, from: ann.public, replay: await guard() };
  await open(sealed, options);
  const { decrypt } = crypto.subtle;
  let padded;
  const keep = async (...args) => (padded = await decrypt.apply(crypto.subtle, args));
  const error = await instead("decrypt", keep, () => rejects(open(sealed, options), "open-failed"));
  assert.equal(error.reason, "replay");
  assert.ok(new Uint8Array(padded).every((b) => b === 0));
});

test("messages that overlap stay apart", async () => {
  const messages = Array.from({ length: 8 }, (_, i) => patterned(threshold + 1000 * i).fill(i, 0, 9));
  const sealed = await Promise.all(messages.map((m, i) => seal(m, { from: ann, to: [bob.public], context: `${i}` })));
  const replay = await guard();
  const opened = await Promise.all(sealed.map((s, i) => open(s, { identity: bob, from: ann.public, replay, context: `${i}` })));
  opened.forEach(({ data, header }, i) => {
    assert.deepEqual(data, messages[i]);
    assert.equal(header.context, `${i}`);
  });
});

test("a message for which memory is short is not spent", async () => {
  const sealed = await seal(patterned(threshold), { from: ann, to: [bob.public] });
  const options = { identity: bob, from: ann.public, replay: await guard() };
  const { slice } = Uint8Array.prototype;
  const { decrypt } = crypto.subtle;
  const then = async (...args) => {
    const padded = await decrypt.apply(crypto.subtle, args);
    Uint8Array.prototype.slice = function (...range) {
      if (this.length >= threshold) throw new RangeError("Array buffer allocation failed");
      return slice.apply(this, range);
    };
    return padded;
  };
  try {
    await instead("decrypt", then, () => rejects(open(sealed, options), "too-large"));
  } finally {
    Uint8Array.prototype.slice = slice;
  }
  assert.deepEqual((await open(sealed, options)).data, patterned(threshold));
});
