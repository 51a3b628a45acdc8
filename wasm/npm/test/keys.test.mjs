import assert from "node:assert/strict";
import { before, test } from "node:test";
import { inspect as show } from "node:util";
import { Identity, init, KnownPeers, PublicIdentity, SharedKeyset } from "../index.js";
import * as cleartext from "../insecure-cleartext.js";
import { rejects } from "./helpers.mjs";

before(() => init());

test("an identity has a name, a fingerprint and a public half", async () => {
  const ann = await Identity.generate("ann");
  assert.equal(ann.name, "ann");
  assert.match(ann.fingerprint, /^fp1[a-z2-7]{52}$/);
  const { public: half } = ann;
  assert.equal(half.name, "ann");
  assert.equal(half.fingerprint, ann.fingerprint);
  assert.equal(half.serial, 1n);
  assert.equal(half.revoked, false);
  assert.ok(Math.abs(half.issued - Date.now()) < 60_000);
  assert.equal(half.expires - half.issued, 30 * 24 * 3600 * 1000);
  const again = await PublicIdentity.parse(half.bytes);
  assert.deepEqual(again.bytes, half.bytes);
  assert.equal(again.fingerprint, half.fingerprint);
});

test("renew replaces the public half", async () => {
  const ann = await Identity.generate("ann");
  const { bytes } = ann.public;
  await ann.renew();
  assert.ok(ann.public.serial > 1n);
  assert.notDeepEqual(ann.public.bytes, bytes);
});

test("what is returned is a copy that changes nothing", async () => {
  const ann = await Identity.generate("ann");
  const half = ann.public;
  half.bytes.fill(0);
  half.expires.setTime(0);
  assert.notEqual(half.bytes[0], 0);
  assert.ok(half.expires > new Date());
  assert.equal(half.bytes.byteLength, half.bytes.buffer.byteLength, "a buffer of its own");
  assert.throws(() => { half.name = "eve"; });
});

test("bad names and bytes are refused", async () => {
  await rejects(Identity.generate(""), "bad-argument");
  await rejects(Identity.generate("x".repeat(129)), "bad-argument");
  await rejects(Identity.generate(7), "bad-argument");
  await rejects(PublicIdentity.parse(new Uint8Array(10)), "invalid");
  await rejects(PublicIdentity.parse("text"), "invalid");
  await rejects(PublicIdentity.parse(7), "bad-argument");
  await rejects(KnownPeers.parse(new Uint8Array(1)), "invalid");
  assert.throws(() => new Identity(), { code: "bad-argument" });
  assert.throws(() => new PublicIdentity(), { code: "bad-argument" });
  assert.throws(() => new KnownPeers(), { code: "bad-argument" });
});

test("A42 secrets print as redacted, names as text that cannot act", async () => {
  const name = "<img>\u202e\u001b[2J\n!";
  const ann = await Identity.generate(name);
  const shared = await SharedKeyset.generate();
  const secret = Buffer.from(await cleartext.exportIdentity(ann));
  const seed = secret.subarray(4, 36);
  for (const text of [String(ann), `${ann}`, JSON.stringify({ ann }), show(ann), show({ ann }, { showHidden: true, depth: 9 })]) {
    assert.match(text, /redacted/);
    assert.ok(!text.includes(seed.toString("hex")) && !text.includes(seed.toString("base64")));
    assert.ok(!/[\u0000-\u0008\u000b-\u001f\u202e]/.test(text), JSON.stringify(text));
  }
  for (const text of [String(shared), JSON.stringify({ shared }), show(shared)]) assert.match(text, /redacted/);
  assert.ok(!/[\u001b\u202e\n]/.test(String(ann.public)));
  assert.deepEqual(Object.keys(ann), []);
});

test("a closed object says that it was closed", async () => {
  const ann = await Identity.generate("ann");
  ann.close();
  ann.close();
  await rejects(ann.renew(), "closed");
  assert.equal(ann.name, "ann");
});

test("known peers: admit, verify, forget, store", async () => {
  const [ann, bob, eve] = await Promise.all(["ann", "bob", "eve"].map((n) => Identity.generate(n)));
  let peers = await KnownPeers.create();
  const room = { room: "garden", role: "member" };
  await rejects(peers.verify(room, ann.public), "trust-unknown");
  await peers.admit(room, ann.public);
  await peers.admit(room, bob.public);
  await peers.verify(room, ann.public);
  await rejects(peers.verify({ room: "other" }, ann.public), "trust-unknown");
  assert.deepEqual(new Set(await peers.admitted(room)), new Set([ann.fingerprint, bob.fingerprint]));

  peers = await KnownPeers.parse(await peers.bytes());
  await peers.verify(room, bob.public);
  await peers.forget(room, bob.fingerprint);
  await rejects(peers.verify(room, bob.public), "trust-unknown");

  const server = { address: "wss://example.com" };
  await peers.admit(server, ann.public);
  const changed = await rejects(peers.verify(server, eve.public), "trust-changed");
  assert.deepEqual(changed.known, [ann.fingerprint]);
  await rejects(peers.verify({ ...server, fingerprint: bob.fingerprint }, ann.public), "trust-changed");

  const { public: old } = ann;
  await ann.renew();
  await peers.verify(server, ann.public);
  await rejects(peers.verify(server, old), "trust-rolled-back");

  await rejects(peers.verify({}, ann.public), "bad-argument");
  await rejects(peers.verify(undefined, ann.public), "bad-argument");
  await rejects(peers.verify({ room: "r", role: "toString" }, ann.public), "bad-argument");
  await rejects(peers.verify({ room: "r", fingerprint: "fp1x" }, ann.public), "bad-argument");
  await rejects(peers.verify(room, ann), "bad-argument");
});

test("cleartext export and import", async () => {
  const ann = await Identity.generate("ann");
  const again = await cleartext.importIdentity(await cleartext.exportIdentity(ann));
  assert.equal(again.fingerprint, ann.fingerprint);
  assert.deepEqual(await cleartext.exportIdentity(again), await cleartext.exportIdentity(ann));
  const shared = await SharedKeyset.generate();
  const bytes = await cleartext.exportSharedKeyset(shared);
  assert.deepEqual(await cleartext.exportSharedKeyset(await cleartext.importSharedKeyset(bytes)), bytes);
  await rejects(cleartext.importIdentity(bytes), "invalid");
  await rejects(cleartext.importSharedKeyset(bytes.subarray(1)), "invalid");
});

test("collected objects leave the core", { skip: !globalThis.gc && "needs --expose-gc" }, async () => {
  const { call } = await import("../core.js");
  const { op } = await import("../ops.js");
  await (async () => {
    for (let i = 0; i < 100; i++) await KnownPeers.create();
  })();
  const last = call(op.peersCreate).number();
  const alive = () => {
    let n = 0;
    for (let h = last - 100; h < last; h++) {
      try {
        call(op.peersBytes, h);
        n++;
      } catch (error) {
        assert.equal(error.code, "closed");
      }
    }
    return n;
  };
  assert.ok(alive() > 0);
  for (let i = 0; i < 100 && alive() > 5; i++) {
    gc();
    await new Promise(setImmediate); // lets finalizers run
  }
  assert.ok(alive() <= 5, `${alive()} are left`);
});
