// A63: bytes of every kind are taken or refused, small and large, and no value kills the core.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { runInNewContext } from "node:vm";
import { call } from "../core.js";
import { Identity, init, inspect, KnownPeers, open, PublicIdentity, ReplayGuard, seal } from "../index.js";
import { op } from "../ops.js";
import { threshold } from "../webcrypto.js";
import { anyTime, rejects } from "./helpers.mjs";

let ann, bob;

before(async () => {
  await init();
  [ann, bob] = await Promise.all(["ann", "bob"].map((n) => Identity.generate(n)));
});

const opener = async () => ({
  identity: bob,
  from: ann.public,
  replay: await anyTime(),
});

class Odd extends Uint8Array {
  get length() {
    return 5;
  }
  get buffer() {
    return new ArrayBuffer(0);
  }
  slice() {
    return this;
  }
  subarray() {
    return this;
  }
}

// Each gives the same bytes, changeable.
const kinds = {
  Uint8Array: (bytes) => bytes.slice(),
  "a Buffer, whose slice does not copy": (bytes) => Buffer.from(bytes),
  "a part of another": (bytes) => Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(3)]).subarray(3, 3 + bytes.length),
  "resizable memory": (bytes) => filled(new Uint8Array(new ArrayBuffer(bytes.length, { maxByteLength: 1 << 20 })), bytes),
  "a subclass with methods of its own": (bytes) => new Odd(bytes),
  "of another realm": (bytes) => filled(runInNewContext(`new Uint8Array(${bytes.length})`), bytes),
  "an ArrayBuffer": (bytes) => bytes.slice().buffer,
  "an ArrayBuffer of another realm": (bytes) => filled(runInNewContext(`new Uint8Array(${bytes.length})`), bytes).buffer,
  "a DataView": (bytes) => viewOf(DataView, bytes),
  "a view of two bytes each": (bytes) => viewOf(bytes.length % 2 ? DataView : Uint16Array, bytes),
};

// viewOf gives a view of these bytes in the middle of a larger buffer.
function viewOf(View, bytes) {
  const whole = new Uint8Array(8 + bytes.length + 1);
  whole.set(bytes, 8);
  return new View(whole.buffer, 8, bytes.length / (View.BYTES_PER_ELEMENT ?? 1));
}

// change overwrites what was given, as a caller may at once.
function change(given) {
  if (given instanceof Odd || !ArrayBuffer.isView(given)) Uint8Array.prototype.fill.call(given instanceof Odd ? given : new Uint8Array(given), 0);
  else new Uint8Array(given.buffer, given.byteOffset, given.byteLength).fill(0);
}

function filled(bytes, from) {
  bytes.set(from);
  return bytes;
}

const sizes = { small: 100, large: threshold + 100 };

for (const [size, length] of Object.entries(sizes)) {
  for (const [kind, make] of Object.entries(kinds)) {
    test(`${size}: ${kind} is copied on the call`, async () => {
      const plaintext = new Uint8Array(length).map((_, i) => i);
      const given = make(plaintext);
      const sealing = seal(given, { from: ann, to: [bob.public] });
      change(given);
      const sealed = make(await sealing);
      const opening = open(sealed, await opener());
      change(sealed);
      const { data } = await opening;
      assert.deepEqual(data, plaintext);
      assert.equal(Object.getPrototypeOf(data), Uint8Array.prototype);
    });
  }

  test(`${size}: what was transferred is refused, before and meanwhile`, async () => {
    const transfer = (bytes) => (structuredClone(bytes.buffer, { transfer: [bytes.buffer] }), bytes);
    const gone = transfer(new Uint8Array(length));
    await rejects(seal(gone, { from: ann, to: [bob.public] }), "bad-argument");
    await rejects(open(gone, await opener()), "bad-argument");
    for (const parse of [inspect, PublicIdentity.parse, KnownPeers.parse, ReplayGuard.parse]) await rejects(parse(gone), "bad-argument");

    const plaintext = new Uint8Array(length).fill(7);
    const sealing = seal(plaintext, { from: ann, to: [bob.public] });
    transfer(plaintext);
    const sealed = await sealing;
    const opening = open(sealed, await opener());
    transfer(sealed);
    assert.deepEqual((await opening).data, new Uint8Array(length).fill(7));
  });
}

test("what only looks like bytes is refused", async () => {
  const bytes = new Uint8Array(100);
  for (const value of [
    Object.create(Uint8Array.prototype),
    new Proxy(bytes, {}),
    { __proto__: bytes },
    [1, 2, 3],
    { byteLength: 3, buffer: bytes.buffer },
    new SharedArrayBuffer(8),
    new Uint8Array(new SharedArrayBuffer(8)),
    undefined,
    null,
  ]) {
    await rejects(inspect(value), "bad-argument");
    await rejects(seal(value, { from: ann, to: [bob.public] }), "bad-argument");
    await rejects(open(value, await opener()), "bad-argument");
  }
});

// Behind the checks of arguments too: between a check and the copy other code may run, a getter or a thread.
test("what cannot be written into the core does not kill it", async () => {
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const lying = Object.defineProperty(new Uint8Array(100), "length", { value: 3 });
  for (const value of [gone, lying, new Date(NaN), Symbol("s"), { valueOf: () => { throw new Error("no number"); } }]) {
    assert.throws(() => call(op.inspect, value), { code: "bad-argument" });
    assert.equal(call(op.info).text(), (await init()).version);
  }
});

// A size above 2^31 is negative for the core, and one above 2^32 is another size.
test("more than the core can count is refused by its size", async () => {
  for (const length of [2 ** 26 + 1, 2 ** 31 - 20, 2 ** 31, 2 ** 32 - 1]) {
    let bytes;
    try {
      bytes = new Uint8Array(length); // costs nothing until it is written
    } catch {
      continue;
    }
    await rejects(seal(bytes, { from: ann, to: [bob.public] }), "too-large");
    if (length > 2 ** 27) await rejects(open(bytes, await opener()), "too-large");
  }
  assert.equal(call(op.info).text(), (await init()).version);
});
