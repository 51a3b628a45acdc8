// What of the store works without a browser: memory, and saying what is missing. The
// rest is in the Chromium test of package wasm.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Identity, init, KnownPeers, openStore } from "../index.js";
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

test("bad arguments", async () => {
  await rejects(openStore(), "bad-argument");
  await rejects(openStore({ record: "" }), "bad-argument");
  await rejects(openStore({ record: "r", name: 7 }), "bad-argument");
});
