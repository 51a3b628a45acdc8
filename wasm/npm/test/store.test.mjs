// What of the store works without a browser: memory, and saying what is missing. The
// rest is in the Chromium test of package wasm.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Identity, init, KnownPeers, openStore, ReplayGuard, seal } from "../index.js";
import { rejects } from "./helpers.mjs";

before(() => init());

test("without IndexedDB the store says what is missing and what to do", async () => {
  const error = await rejects(openStore({ record: "ann" }), "store-unavailable");
  assert.match(error.message, /IndexedDB/);
  assert.match(error.hint, /memory: true/);
});

test("a memory store keeps what was saved until it is closed", async () => {
  const store = await openStore({ record: "ann", memory: true });
  assert.equal(await store.load(), null);
  const ann = await Identity.generate("ann");
  const bob = await Identity.generate("bob");
  const peers = await KnownPeers.create();
  await peers.admit({ room: "r" }, bob.public);
  await store.save({ identity: ann, knownPeers: peers });
  ann.close();
  const back = await store.load();
  assert.equal(back.identity.fingerprint, ann.fingerprint);
  assert.deepEqual(await back.knownPeers.admitted({ room: "r" }), [bob.fingerprint]);
  await back.identity.renew();

  await rejects(store.save({ identity: ann, knownPeers: peers }), "closed");
  await rejects(store.save({}), "bad-argument");
  await rejects(store.save(), "bad-argument");
  assert.equal((await store.load()).identity.fingerprint, ann.fingerprint, "a failed save changes nothing");
  await store.close();
  await store.close();
  await rejects(store.load(), "closed");
});

// at has what runs believe that it is later by so many days, the core included.
async function at(days, run) {
  const RealDate = Date;
  const ahead = days * 24 * 3600 * 1000;
  globalThis.Date = class extends RealDate {
    constructor(...args) {
      super(...(args.length ? args : [RealDate.now() + ahead]));
    }
    static now() {
      return RealDate.now() + ahead;
    }
  };
  try {
    return await run();
  } finally {
    globalThis.Date = RealDate;
  }
}

test("a page that was not visited for long finds its identity renewed", async () => {
  const store = await openStore({ record: "ann", memory: true });
  const ann = await Identity.generate("ann");
  await store.save({ identity: ann, knownPeers: await KnownPeers.create() });
  const first = ann.public;
  assert.equal((await at(10, () => store.load())).identity.public.serial, first.serial, "it is not renewed at every load");
  await at(31, async () => {
    const bob = await Identity.generate("bob");
    const expired = await rejects(seal(new Uint8Array(1), { from: ann, to: [bob.public], context: "c" }), "identity-expired");
    assert.match(expired.hint, /renew\(\)/);
    const { identity, knownPeers } = await store.load();
    assert.ok(identity.public.expires > new Date(), `it expires ${identity.public.expires}`);
    assert.equal(identity.fingerprint, ann.fingerprint);
    await seal(new Uint8Array(1), { from: identity, to: [bob.public], context: "c" });
    assert.equal((await store.load()).identity.public.serial, identity.public.serial, "the renewal was saved");
    await knownPeers.admit({ room: "r" }, identity.public);
    const old = await rejects(knownPeers.verify({ room: "r" }, first), "trust-expired");
    assert.match(old.message, /expired at \d{4}-.*, 1 day ago/);
  });
  // A clock that was wrong for a while has left a statement from the future: it is renewed at once.
  const ahead = await at(400, () => store.load());
  const now = await store.load();
  assert.ok(now.identity.public.serial > ahead.identity.public.serial);
  assert.ok(now.identity.public.issued <= new Date());
  await store.close();
});

test("a renewal that is not saved is told of", async () => {
  const store = await openStore({ record: "ann", memory: true });
  const ann = await Identity.generate("ann");
  await store.save({ identity: ann, knownPeers: await KnownPeers.create() });
  assert.equal((await store.load()).unsaved, null);
  const slice = Uint8Array.prototype.slice;
  Uint8Array.prototype.slice = function (...args) {
    if (new Error().stack.includes("MemoryRecord.write")) throw new RangeError("the disk is full");
    return slice.apply(this, args);
  };
  try {
    const { identity, unsaved } = await at(20, () => store.load());
    assert.equal(unsaved?.code, "store-failed");
    assert.match(unsaved.message, /renewal was not saved: the disk is full/);
    assert.ok(identity.public.serial > ann.public.serial);
  } finally {
    Uint8Array.prototype.slice = slice;
  }
  assert.equal((await at(20, () => store.load())).unsaved, null);
  await store.close();
});

test("bad arguments", async () => {
  await rejects(openStore(), "bad-argument");
  await rejects(openStore({ record: "" }), "bad-argument");
  await rejects(openStore({ record: "r", name: 7 }), "bad-argument");
});

// Under any clock: what is saved loads again, or is refused and leaves what was saved before.
test("what is saved under a wrong clock loads, or is refused", async () => {
  for (const days of [-30_000, -20_000, 4_000_000, 90_000_000]) {
    const store = await openStore({ record: "ann", memory: true });
    const content = { identity: await Identity.generate("ann"), knownPeers: await KnownPeers.create(), replay: await ReplayGuard.create() };
    await store.save(content);
    await at(days, async () => {
      const replay = await ReplayGuard.create();
      await content.identity.renew().catch(() => {});
      await store.save({ ...content, replay }).catch((error) => assert.equal(error.code, "bad-argument"));
    });
    assert.equal((await store.load()).identity.fingerprint, content.identity.fingerprint);
    await store.close();
  }
});

test("a save takes what it is given when it is called, and nothing that it does not know", async () => {
  await using_(await openStore({ record: "ann", memory: true }), async (store) => {
    const content = { identity: await Identity.generate("ann"), knownPeers: await KnownPeers.create() };
    const saving = store.save(content);
    content.identity = null;
    await saving;
    await rejects(store.save({ ...content, knownPeer: 1 }), "bad-argument");
    await rejects(store.save(content), "bad-argument");
    assert.equal((await store.load()).identity.name, "ann");
  });
});

// using_ is what `await using` does.
async function using_(store, run) {
  await run(store);
  await store[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]();
  await rejects(store.load(), "closed");
  assert.equal(await store.closed, null);
}
