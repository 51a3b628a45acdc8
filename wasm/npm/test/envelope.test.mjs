import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Identity, init, inspect, open, ReplayGuard, seal, SharedKeyset } from "../index.js";
import { anyTime, captureInstance, coreBytes, decoder, encoder, freshCore, rejects } from "./helpers.mjs";

let ann, bob, eve, shared;
const guard = anyTime;

before(async () => {
  await init();
  [ann, bob, eve] = await Promise.all(["ann", "bob", "eve"].map((n) => Identity.generate(n)));
  shared = await SharedKeyset.generate();
});

const suites = {
  recipients: () => [{ from: ann, to: [eve.public, bob.public] }, { identity: bob, from: ann.public }],
  shared: () => [{ shared, party: "x", toParty: "y" }, { shared, party: "y", fromParty: "x" }],
  "shared-signed": () => [{ shared, from: ann, toParty: "y" }, { shared, party: "y", identity: bob, from: ann.public }],
};

for (const [suite, sides] of Object.entries(suites)) {
  test(`suite ${suite}: round trip over sizes, header, every changed byte`, async () => {
    const [sealer, opener] = sides();
    for (const size of [0, 1, 59, 60, 61, 1024, 70_000, 3_000_000]) {
      const plaintext = new Uint8Array(size).map((_, i) => i);
      const sealed = await seal(plaintext, { ...sealer, context: "c", contentType: "text/plain" });
      const { data, header } = await open(sealed, { ...opener, context: "c", replay: await guard() });
      assert.deepEqual(data, plaintext);
      assert.equal(header.suite, suite);
      assert.equal(header.sender, sealer.from?.fingerprint ?? null);
      assert.equal(header.party, sealer.party ?? null);
      assert.equal(header.context, "c");
      assert.equal(header.contentType, "text/plain");
      assert.match(header.id, /^[0-9a-f]{32}$/);
      assert.ok(Math.abs(header.time - Date.now()) < 60_000);
    }
    const sealed = await seal(encoder.encode("hi"), sealer);
    const texts = new Set();
    for (let i = 0; i < sealed.length; i += 1 + (i % 7)) {
      const changed = sealed.slice();
      changed[i] ^= 1;
      const error = await rejects(open(changed, { ...opener, replay: await guard() }), "open-failed");
      assert.ok(error.reason);
      texts.add(error.message);
    }
    assert.equal(texts.size, 1, "A37 one text for all");
  });
}

test("A15 a message opens once", async () => {
  const sealed = await seal(encoder.encode("hi"), { from: ann, to: [bob.public] });
  const replay = await guard();
  await open(sealed, { identity: bob, from: ann.public, replay });
  assert.equal((await rejects(open(sealed, { identity: bob, from: ann.public, replay }), "open-failed")).reason, "replay");
});

test("reasons are told apart locally", async () => {
  const sealed = await seal(encoder.encode("hi"), { from: ann, to: [bob.public], context: "c" });
  const reason = async (options) =>
    (await rejects(open(sealed, { identity: bob, from: ann.public, context: "c", replay: await guard(), ...options }), "open-failed")).reason;
  assert.equal(await reason({ context: "d" }), "context");
  assert.equal(await reason({ from: eve.public }), "sender");
  assert.equal(await reason({ identity: eve }), "not-for-us");
  assert.equal(await reason({ identity: ann, from: bob.public }), "reflected");
  assert.equal(await reason({ replay: await ReplayGuard.create() }), "time");
});

test("a guard that lost its memory refuses what may have been opened before", async () => {
  const sealed = await seal(encoder.encode("hi"), { from: ann, to: [bob.public] });
  const replay = await ReplayGuard.create();
  assert.equal((await rejects(open(sealed, { identity: bob, from: ann.public, replay }), "open-failed")).reason, "time");
});

// What the README's first example does.
test("the first guard for an identity that was just made opens what is sealed to it, and no second one does", async () => {
  const me = await Identity.generate("me");
  const sealed = await seal(encoder.encode("hi"), { from: ann, to: [me.public] });
  const options = { identity: me, from: ann.public, replay: await ReplayGuard.create({ identity: me }) };
  assert.equal((await open(sealed, options)).data.length, 2);
  assert.equal((await rejects(open(sealed, options), "open-failed")).reason, "replay");
  options.replay = await ReplayGuard.create({ identity: me });
  assert.equal((await rejects(open(sealed, options), "open-failed")).reason, "time");
  await rejects(ReplayGuard.create({ identity: me.public }), "bad-argument");
});

test("inspect covers the whole envelope and needs no key", async () => {
  const sealed = await seal(encoder.encode("hi"), { from: ann, to: [bob.public, eve.public], context: "c" });
  const { header, recipients, parts } = await inspect(sealed);
  assert.equal(header.sender, ann.fingerprint);
  assert.equal(recipients.length, 2);
  let end = 0;
  for (const { offset, size } of parts) {
    assert.equal(offset, end);
    end += size;
  }
  assert.equal(end, sealed.length);
  assert.deepEqual(parts.map((p) => p.name).filter((n) => n !== "framing"), ["header", "recipients", "body", "proof"]);
  assert.equal((await rejects(inspect(new Uint8Array(5)), "open-failed")).reason, "malformed");
});

test("payloads are copied on entry, and what is returned has a buffer of its own", async () => {
  const plaintext = encoder.encode("hello");
  const pending = seal(plaintext, { from: ann, to: [bob.public] });
  plaintext.fill(0);
  const sealed = await pending;
  const opening = open(sealed, { identity: bob, from: ann.public, replay: await guard() });
  const { data } = await opening;
  assert.equal(decoder.decode(data), "hello");
  assert.equal(sealed.buffer.byteLength, sealed.byteLength);
  assert.equal(data.buffer.byteLength, data.byteLength);
});

test("views into larger buffers are taken as what they show", async () => {
  const large = encoder.encode("..hello..");
  const sealed = await seal(large.subarray(2, 7), { from: ann, to: [bob.public] });
  const { data } = await open(sealed, { identity: bob, from: ann.public, replay: await guard() });
  assert.equal(decoder.decode(data), "hello");
});

test("bad arguments are named", async () => {
  const replay = await guard();
  await rejects(seal(new Uint8Array(1), undefined), "seal-failed");
  await rejects(seal(new Uint8Array(1), { from: ann, to: bob.public }), "bad-argument");
  const error = await rejects(seal(new Uint8Array(1), { from: ann, to: [bob] }), "bad-argument");
  assert.match(error.message, /to\[0\] must be a PublicIdentity/);
  await rejects(seal(new Uint8Array(1), { from: ann, to: [bob.public, bob.public] }), "seal-failed");
  await rejects(seal(new Uint8Array(1), { from: ann, to: [bob.public], context: "x".repeat(2000) }), "seal-failed");
  await rejects(open(new Uint8Array(1), { identity: bob, from: ann.public }), "bad-argument");
  await rejects(open(new Uint8Array(1), { identity: bob, replay }), "bad-argument");
  await rejects(ReplayGuard.create({ identity: bob, shared: await SharedKeyset.generate() }), "bad-argument");
  for (const maxAge of [-1, 0.5, NaN, "1", 31 * 24 * 3600 * 1000]) {
    await rejects(open(new Uint8Array(1), { identity: bob, from: ann.public, replay, maxAge }), "bad-argument");
  }
  await rejects(open(new Uint8Array(1), { identity: bob, from: ann.public, replay: { claim: async () => true }, signal: 1 }), "bad-argument");
  await rejects(seal(new Uint8Array(70 << 20), { from: ann, to: [bob.public] }), "too-large");
});

test("no plaintext and no key stays in the staging buffer", async () => {
  const core = await freshCore();
  const bytes = await coreBytes();
  const instance = await captureInstance(() => core.init(bytes));
  const { op } = await import("../ops.js");
  const me = core.call(op.identityGenerate, "ann").number();
  const secret = core.call(op.identityMarshal, me).bytes();
  const marker = encoder.encode("a marker that stands nowhere else");
  core.call(op.relayPublish, "room", marker).bytes();
  const memory = Buffer.from(instance.exports.mem.buffer);
  const staging = memory.subarray(instance.exports.buffer(0), instance.exports.buffer(0) + 4096);
  assert.equal(staging.indexOf(marker), -1);
  assert.equal(staging.indexOf(secret.subarray(4, 36)), -1);
  assert.equal(memory.indexOf(marker), -1);
});

test("many and large calls in a row, with garbage collection in between", async () => {
  const payload = new Uint8Array(200_000);
  const replay = await guard();
  for (let i = 0; i < 150; i++) {
    payload[0] = i;
    const sealed = await seal(payload, { shared, party: "x", toParty: "y" });
    const { data } = await open(sealed, { shared, party: "y", fromParty: "x", replay });
    assert.equal(data[0], i);
  }
});

test("A07 a message for one party does not open for another", async () => {
  const sealed = await seal(encoder.encode("cancel"), { shared, party: "shop", toParty: "warehouse" });
  const error = await rejects(open(sealed, { shared, party: "bank", fromParty: "shop", replay: await guard() }), "open-failed");
  assert.equal(error.reason, "proof");
});

test("A16 a guard that is kept refuses what was opened, and accepts what is new", async () => {
  const options = { identity: bob, from: ann.public };
  const sealed = await seal(encoder.encode("hi"), { from: ann, to: [bob.public] });
  const replay = await guard();
  await open(sealed, { ...options, replay });
  const again = await ReplayGuard.parse(await replay.bytes());
  assert.equal((await rejects(open(sealed, { ...options, replay: again }), "open-failed")).reason, "replay");
  await open(await seal(encoder.encode("ho"), { from: ann, to: [bob.public] }), { ...options, replay: again });
  await rejects(ReplayGuard.parse(new Uint8Array([1])), "invalid");
});
