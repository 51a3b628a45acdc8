import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Identity, init, open, ReplayGuard, seal, SharedKeyset } from "../index.js";
import { decoder, encoder, rejects } from "./helpers.mjs";

let ann, bob, sealed;
before(async () => {
  await init();
  [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
  sealed = await seal(encoder.encode("hi"), { from: ann, to: [bob.public], context: "c" });
});

const openWith = (replay, more) => open(sealed, { identity: bob, from: ann.public, context: "c", replay, ...more });

test("a cache over a store opens a message once, and is told which and until when", async () => {
  const kept = new Map();
  const claim = async ({ key, until, header }, { signal }) => {
    assert.ok(signal instanceof AbortSignal);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(header.sender, ann.fingerprint);
    assert.equal(until - header.time, 3_600_000 + 301_000);
    await new Promise(setImmediate);
    return !kept.has(key) && Boolean(kept.set(key, until));
  };
  const { data, header } = await openWith({ claim }, { maxAge: 3_600_000 });
  assert.equal(decoder.decode(data), "hi");
  assert.equal(header.context, "c");
  const error = await rejects(openWith({ claim }, { maxAge: 3_600_000 }), "open-failed");
  assert.equal(error.reason, "replay");
  const forged = sealed.with(sealed.length - 1, sealed.at(-1) ^ 1);
  const other = await rejects(open(forged, { identity: bob, from: ann.public, context: "c", replay: { claim } }), "open-failed");
  assert.equal(error.message, other.message);
  assert.equal(kept.size, 1);
});

// From 16 KiB on WebCrypto opens the body, in steps.
test("a large message is claimed as a small one is", async () => {
  const large = await seal(new Uint8Array(100_000).fill(7), { from: ann, to: [bob.public] });
  const [kept, options] = [new Map(), { identity: bob, from: ann.public, maxAge: 60_000 }];
  const claim = ({ key, until, header }) => {
    assert.equal(until - header.time, 60_000 + 301_000);
    return !kept.has(key) && Boolean(kept.set(key, header.id));
  };
  const { data, header } = await open(large, { ...options, replay: { claim } });
  assert.ok(data.length === 100_000 && data.every((b) => b === 7));
  assert.deepEqual([...kept.values()], [header.id]);
  assert.equal((await rejects(open(large, { ...options, replay: { claim } }), "open-failed")).reason, "replay");
  await rejects(open(large, { ...options, replay: { claim: () => Promise.reject(new Error("down")) } }), "replay-unavailable");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal((await rejects(open(large, { ...options, maxAge: 1, replay: { claim } }), "open-failed")).reason, "time");
  assert.equal(kept.size, 1);
});

test("of many that open one message at once, one does", async () => {
  const kept = new Set();
  const cache = { claim: async ({ key }) => (await null, !kept.has(key) && Boolean(kept.add(key))) };
  const done = await Promise.allSettled(Array.from({ length: 50 }, () => openWith(cache)));
  assert.equal(done.filter((d) => d.status === "fulfilled").length, 1);
  assert.ok(done.every((d) => d.status === "fulfilled" || d.reason.reason === "replay"));
});

test("a cache that does not decide refuses nothing and opens nothing", async () => {
  const down = new Error("connection refused");
  const caches = {
    "rejects": () => Promise.reject(down),
    "throws": () => { throw down; },
    "gives nothing": async () => {},
    "gives a number": async () => 1,
  };
  for (const [name, claim] of Object.entries(caches)) {
    const error = await rejects(openWith({ claim }), "replay-unavailable");
    assert.equal(error.retryable, true, name);
    assert.equal(error.reason, undefined);
    if (name in { rejects: 1, throws: 1 }) assert.equal(error.cause, down);
  }
  assert.equal(decoder.decode((await openWith({ claim: async () => true })).data), "hi");
});

test("a cache is waited for as long as the signal says, and ten seconds without", async (t) => {
  const never = { claim: () => new Promise(() => {}) };
  const stop = new AbortController();
  const pending = rejects(openWith(never, { signal: stop.signal }), "replay-unavailable");
  stop.abort(new Error("shutting down"));
  assert.equal((await pending).cause.message, "shutting down");
  assert.equal((await rejects(openWith(never, { signal: stop.signal }), "replay-unavailable")).cause.message, "shutting down");

  t.mock.timers.enable({ apis: ["setTimeout"] });
  let ended = false;
  const slow = rejects(openWith(never), "replay-unavailable").finally(() => (ended = true));
  await new Promise(setImmediate);
  t.mock.timers.tick(9_999);
  await new Promise(setImmediate);
  assert.equal(ended, false);
  t.mock.timers.tick(1);
  await slow;
});

test("maxAge refuses what has waited for longer", async () => {
  await new Promise((resolve) => setTimeout(resolve, 20));
  const asked = () => assert.fail("the cache was asked");
  assert.equal((await rejects(openWith({ claim: asked }, { maxAge: 1 }), "open-failed")).reason, "time");
  const replay = await ReplayGuard.create({ identity: bob });
  assert.equal((await rejects(openWith(replay, { maxAge: 1 }), "open-failed")).reason, "time");
  assert.equal((await openWith(replay, { maxAge: 30 * 24 * 3600 * 1000 })).data.length, 2);
});

test("the first guard of a keyset that was just made opens, and no second one does", async () => {
  const shared = await SharedKeyset.generate();
  const message = await seal(encoder.encode("hi"), { shared, party: "a", toParty: "b" });
  const first = await ReplayGuard.create({ shared });
  const options = { shared, party: "b", fromParty: "a", replay: first };
  await open(message, options);
  for (const replay of [await ReplayGuard.create({ shared }), await ReplayGuard.create()]) {
    assert.equal((await rejects(open(message, { ...options, replay }), "open-failed")).reason, "time");
  }
  const foreign = { ...options, replay: await ReplayGuard.create({ identity: await Identity.generate("new") }) };
  await rejects(open(message, foreign), "bad-argument");
  const kept = await ReplayGuard.parse(await first.bytes());
  assert.equal((await rejects(open(message, { ...options, replay: kept }), "open-failed")).reason, "replay");
});
