// Accounts in memory. What needs a browser's storage is in the Chromium tests of package wasm.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect as show } from "node:util";
import { connect, createServer, Identity, importAccount, init, inspect, openAccount, PublicIdentity, seal } from "../index.js";
import { threshold } from "../webcrypto.js";
import { rejects } from "./helpers.mjs";
import { linkPair } from "./links.mjs";

const account = (record, more) => openAccount({ record, memory: true, ...more });

async function friends() {
  const [ann, bob] = [await account("ann"), await account("bob")];
  await ann.peers.admit(bob.public);
  await bob.peers.admit(ann.public);
  return [ann, bob];
}

test("an account starts the core, and seals and opens text, bytes and values", async () => {
  const [ann, bob] = await friends();
  assert.ok(ann.created && ann.unsaved === null && ann.name === "ann");
  const read = async (data, how, options) => (await bob.open(await ann.seal(data, { to: bob.public, ...options }), { from: ann.public, context: options?.context }))[how]();
  assert.equal(await read("grüße", "text"), "grüße");
  assert.equal(await read("\ufeffnot a mark", "text"), "\ufeffnot a mark");
  assert.deepEqual(await read(JSON.stringify({ a: [1] }), "json"), { a: [1] });
  assert.deepEqual(await read(Uint8Array.of(1, 2), "bytes"), Uint8Array.of(1, 2));
  assert.deepEqual(await read(new Uint8Array(3 * threshold).fill(7), "bytes", { context: "c" }), new Uint8Array(3 * threshold).fill(7));
  const { header } = await bob.open(await ann.seal("x", { to: [bob.public], contentType: "text/plain" }), { from: ann.public });
  assert.equal(header.sender, ann.fingerprint);
  assert.equal(header.contentType, "text/plain");
  await Promise.all([ann.close(), bob.close()]);
});

test("only peers who were admitted count, for what they were admitted", async () => {
  const [ann, bob] = await friends();
  const eve = await account("eve");
  await rejects(ann.seal("x", { to: eve.public }), "trust-unknown");
  await rejects(ann.seal("x", { to: [bob.public, eve.public] }), "trust-unknown");
  const forged = await seal("x", { from: await Identity.generate("bob"), to: [ann.public] });
  await rejects(ann.open(forged, { from: eve.public }), "trust-unknown");
  assert.equal((await rejects(ann.open(forged, { from: bob.public }), "open-failed")).reason, "sender");
  const room = { room: "garden" };
  await rejects(ann.seal("x", { to: bob.public, expected: room }), "trust-unknown");
  await ann.peers.admit(bob.public, room);
  await ann.seal("x", { to: bob.public, expected: room });
  assert.deepEqual(await ann.peers.admitted(room), [bob.fingerprint]);
  await ann.peers.forget(bob.fingerprint);
  await rejects(ann.seal("x", { to: bob.public }), "trust-unknown");
  await ann.seal("x", { to: bob.public, expected: room });
  await rejects(ann.seal("x", {}), "bad-argument");
  await rejects(ann.seal("x", { to: bob }), "bad-argument");
  await rejects(ann.seal("x", { to: [] }), "seal-failed");
  await rejects(ann.seal("x", { to: bob.public, contxt: "c" }), "bad-argument");
});

test("what is passed is taken when it is called", async () => {
  const [ann, bob] = await friends();
  const [bytes, expected, to] = [Uint8Array.of(1, 2), { role: "client" }, [bob.public]];
  const sealing = ann.seal(bytes, { to, expected });
  bytes.fill(0);
  expected.room = "elsewhere";
  to.push(ann.public);
  const sealed = await sealing;
  assert.equal((await inspect(sealed)).recipients.length, 1);
  const asked = { role: "client" };
  const opening = bob.open(sealed, { from: ann.public, expected: asked });
  sealed.fill(0);
  asked.room = "elsewhere";
  assert.deepEqual((await opening).bytes(), Uint8Array.of(1, 2));
});

test("a message opens once, one's own as often as asked and never as somebody else's", async () => {
  const [ann, bob] = await friends();
  await ann.peers.admit(ann.public).catch(() => {});
  for (const size of [10, threshold + 10]) {
    const sealed = await ann.seal(new Uint8Array(size), { to: bob.public, own: true, context: "c" });
    await bob.open(sealed, { from: ann.public, context: "c" });
    assert.equal((await rejects(bob.open(sealed, { from: ann.public, context: "c" }), "open-failed")).reason, "replay");
    for (let i = 0; i < 2; i++) assert.equal((await ann.openOwn(sealed, { context: "c" })).bytes().length, size);
    assert.equal((await rejects(ann.openOwn(sealed), "open-failed")).reason, "context");
    assert.equal((await rejects(ann.open(sealed, { from: ann.public, context: "c" }), "open-failed")).reason, "reflected");
    assert.equal((await rejects(bob.openOwn(sealed, { context: "c" }), "open-failed")).reason, "sender");
    const without = await ann.seal(new Uint8Array(size), { to: bob.public });
    assert.equal((await rejects(ann.openOwn(without), "open-failed")).reason, "not-for-us");
    assert.equal((await inspect(without)).recipients.length, 1);
  }
});

test("a public identity crosses as text, folded or in a link", async () => {
  const ann = await account("ann");
  const text = ann.public.encode();
  assert.match(text, /^hopseal1_[\w-]+$/);
  assert.ok(text.length < 2953, "it fits a QR code");
  for (const form of [text, ` ${text}\n`, text.replace(/(.{60})/g, "$1\r\n"), `https://example.com/add?x=1#${text}`]) {
    assert.deepEqual((await PublicIdentity.parse(form)).bytes, ann.public.bytes);
  }
  const others = ["", "hopseal1_", text.slice(1), text.slice(0, -1), text + "A", text + "=", `${text}#`, `${text}#x`, text.replace("_", "-"), text.slice(0, 40) + "é" + text.slice(41), text.replaceAll("-", "+") + "+"];
  for (const form of others) await rejects(PublicIdentity.parse(form), "invalid");
  await rejects(PublicIdentity.parse(text.slice(0, -1) + (text.endsWith("A") ? "B" : "A")), "invalid");
  await rejects(PublicIdentity.parse(7), "bad-argument");
});

test("A42 an account prints as redacted", async () => {
  const ann = await account("ann");
  for (const text of [String(ann), JSON.stringify({ ann }), show({ ann }, { showHidden: true, depth: 9 })]) assert.match(text, /redacted/);
  assert.ok(!/seed|secret/i.test(show(ann)));
});

test("a closed account says so, and closes once", async () => {
  const [ann, bob] = await friends();
  const { public: half } = bob;
  const sealed = await bob.seal("x", { to: ann.public });
  await ann.close();
  await ann.close();
  assert.equal(await ann.closed, null);
  for (const use of [() => ann.seal("x", { to: half }), () => ann.open(sealed, { from: half }), () => ann.openOwn(sealed), () => ann.renew()]) {
    await rejects(use(), "closed");
  }
  await rejects(ann.peers.admit(half), "closed");
  {
    const cid = await account("cid");
    await cid[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]();
    await rejects(cid.renew(), "closed");
  }
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

test("an account that stays open for weeks renews itself when it is used, and by the hour", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const [ann, bob] = await friends();
  const [first, his] = [ann.public, bob.public];
  await at(20, async () => {
    t.mock.timers.tick(60 * 60 * 1000);
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    assert.ok(ann.public.serial > first.serial, "by the hour");
    assert.equal(ann.public.fingerprint, first.fingerprint);
  });
  await at(31, async () => {
    await rejects(ann.seal("x", { to: his }), "trust-expired");
    await bob.renew();
    await bob.peers.verify(ann.public);
    await bob.open(await ann.seal("x", { to: bob.public }), { from: ann.public });
    assert.ok(ann.public.expires > new Date());
  });
  assert.equal(ann.unsaved, null);
  await ann.close();
});

test("an account that is open does not keep Node alive", () => {
  const index = fileURLToPath(new URL("../index.js", import.meta.url));
  const script = `import { openAccount } from ${JSON.stringify(index)}; await openAccount({ record: "ann", memory: true }); console.log("open");`;
  const { stdout, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000, encoding: "utf8" });
  assert.equal(stdout.trim(), "open");
  assert.equal(signal, null);
});

test("what an account cannot be opened with is a sentence", async () => {
  await init();
  const error = await rejects(openAccount({ record: "ann" }), "store-unavailable");
  assert.match(error.message, /IndexedDB/);
  await rejects(openAccount(), "bad-argument");
  await rejects(openAccount({ record: "", memory: true }), "bad-argument");
  await rejects(openAccount({ record: "ann", memory: "yes" }), "bad-argument");
  await rejects(openAccount({ record: "ann", memory: true, name: "" }), "bad-argument");
  await rejects(openAccount({ record: "ann", memory: true, recrod: "x" }), "bad-argument");
});

test("accounts are the ends of sessions, and their peers whom to trust", async () => {
  const [ann, bob] = await friends();
  const server = createServer({ identity: bob, verifier: bob, protocol: "echo/1" }, async (session) => {
    for await (const message of session) await session.send(message.data);
  });
  const link = () => {
    const [here, there] = linkPair();
    server.serve(there);
    return here;
  };
  const options = { identity: ann, verifier: ann, protocol: "echo/1", address: "bob" };
  await rejects(connect(link, options), "trust-unknown");
  await ann.peers.admit(bob.public, { address: "bob", role: "server" });
  const session = await connect(link, options);
  assert.equal(session.peer.fingerprint, bob.fingerprint);
  await session.send("hello");
  assert.equal((await session.receive()).text(), "hello");
  await session.close();
  await bob.peers.forget(ann.fingerprint);
  await assert.rejects(connect(link, options), { name: "HopsealError" });
  await server.shutdown();
});

test("an account moves under a passphrase, with its peers and without what was opened", async () => {
  const [ann, bob] = await friends();
  const words = "trivial gadget ostrich banjo grüße";
  const sealed = await bob.seal("before", { to: ann.public });
  await ann.open(sealed, { from: bob.public });
  const file = await ann.export(words);
  const again = await importAccount(file, words, { record: "again", memory: true });
  assert.equal(again.fingerprint, ann.fingerprint);
  assert.ok(again.public.serial > ann.public.serial && again.created && again.unsaved === null);
  assert.deepEqual(await again.peers.admitted(), [bob.fingerprint]);
  await bob.peers.verify(again.public);
  assert.equal((await bob.open(await again.seal("after", { to: bob.public }), { from: again.public })).text(), "after");
  assert.equal((await rejects(again.open(sealed, { from: bob.public }), "open-failed")).reason, "time");
  await rejects(importAccount(file, words.toUpperCase(), { record: "x", memory: true }), "wrong-passphrase");
  await rejects(importAccount(file.subarray(1), words, { record: "x", memory: true }), "invalid");
  await rejects(importAccount(file.fill(7, -20), words, { record: "x", memory: true }), "invalid");
  await rejects(importAccount(file, words, {}), "bad-argument");
  assert.match((await rejects(ann.export("password"), "bad-argument")).message, /five or more random words/);
  await ann.close();
  await rejects(ann.export(words), "closed");
});

before(async () => {
  assert.equal((await account("first")).created, true); // without init()
});
