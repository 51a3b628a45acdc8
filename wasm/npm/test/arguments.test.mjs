// Nothing that a page passes kills the core: every function, each of its arguments and options, and every
// kind of bad value in its place. After each of them the core works.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { runInNewContext } from "node:vm";
import { call } from "../core.js";
import * as hopseal from "../index.js";
import { connect, createServer, Identity, importAccount, init, inspect, KnownPeers, open, openAccount, openSessionStore, openStore, PublicIdentity, RelayClient, ReplayGuard, seal, SharedKeyset } from "../index.js";
import * as cleartext from "../insecure-cleartext.js";
import { op } from "../ops.js";
import { FakeSocket, frames } from "./fakesocket.mjs";
import { anyTime, rejects } from "./helpers.mjs";
import { linkPair } from "./links.mjs";

let ann, bob, shared, peers, sealed, sealedShared, store, account, own, relay, closed, server, session;

before(async () => {
  await init();
  [ann, bob, closed] = await Promise.all(["ann", "bob", "closed"].map((name) => Identity.generate(name)));
  closed.close();
  shared = await SharedKeyset.generate();
  peers = await KnownPeers.create();
  sealed = await seal("hello", { from: ann, to: [bob.public], context: "c" });
  sealedShared = await seal("hello", { shared, party: "x", toParty: "y" });
  store = await openStore({ record: "ann", memory: true });
  account = await openAccount({ record: "ann", memory: true });
  await account.peers.admit(bob.public);
  own = await account.seal("hello", { to: bob.public, own: true, context: "c" });
  const connecting = RelayClient.connect("ws://relay.example/", { WebSocket: FakeSocket });
  await new Promise(setImmediate);
  FakeSocket.last.open();
  relay = await connecting;
  const joining = relay.join("room", "ann", Uint8Array.of(1));
  await new Promise(setImmediate);
  FakeSocket.last.deliver(frames.joined("room", 9));
  await joining;
  await meet();
});

async function meet() {
  server = createServer({ identity: bob, verifier: ann.public, protocol: "p/1" }, async (session) => {
    await session.serve((message, { oneWay }) => (oneWay ? undefined : message.data));
  });
  const [here, there] = linkPair();
  server.serve(there);
  session = await connect(here, { identity: ann, verifier: bob.public, protocol: "p/1", address: "bob" });
  assert.equal((await session.call("echo", "hello")).text(), "hello");
}

after(async () => {
  assert.equal((await session.call("echo", "still here")).text(), "still here");
  await session.close();
  await server.shutdown();
  relay.close();
});

// Each function with arguments that it takes. Objects among them are options: every option of one is
// attacked as well as the whole.
const functions = {
  "Identity.generate": () => [(...a) => Identity.generate(...a), "ann"],
  "PublicIdentity.parse": () => [(...a) => PublicIdentity.parse(...a), ann.public.bytes],
  "KnownPeers.parse": async () => [(...a) => KnownPeers.parse(...a), await peers.bytes()],
  "KnownPeers.verify": () => [(...a) => peers.verify(...a), options({ address: "a", role: "server", fingerprint: ann.fingerprint }), ann.public],
  "KnownPeers.admit": () => [(...a) => peers.admit(...a), options({ room: "r", role: "member", fingerprint: ann.fingerprint }), ann.public],
  "KnownPeers.forget": () => [(...a) => peers.forget(...a), options({ room: "r" }), ann.fingerprint],
  "KnownPeers.revoke": () => [(...a) => peers.revoke(...a), ann.public],
  "KnownPeers.admitted": () => [(...a) => peers.admitted(...a), options({ room: "r" })],
  "ReplayGuard.create": () => [(...a) => ReplayGuard.create(...a), options({ identity: ann, shared })],
  "ReplayGuard.parse": async () => [(...a) => ReplayGuard.parse(...a), await (await anyTime()).bytes()],
  seal: () => [seal, "hello", options({ from: ann, to: [bob.public], context: "c", contentType: "t" })],
  "seal under a keyset": () => [seal, new Uint8Array(20_000), options({ shared, party: "x", toParty: "y" })],
  open: async () => [open, sealed, options({ identity: bob, from: ann.public, context: "c", maxAge: 1000, replay: await anyTime(), signal: new AbortController().signal })],
  "open under a keyset": async () => [open, sealedShared, options({ shared, party: "y", fromParty: "x", replay: { claim: async () => true } })],
  inspect: () => [inspect, sealed],
  openStore: () => [openStore, options({ name: "n", record: "r", memory: true })],
  "Store.save": () => [(...a) => store.save(...a), options({ identity: ann, knownPeers: peers, replay: null })],
  openAccount: () => [openAccount, options({ record: "r", name: "n", database: "d", memory: true, acceptOld: false })],
  "Account.export": () => [(...a) => account.export(...a), "too short"],
  importAccount: () => [importAccount, bob.public.bytes, "words", options({ record: "r", database: "d", memory: true })],
  "Account.seal": () => [(...a) => account.seal(...a), "hello", options({ to: [bob.public], own: true, expected: { role: "client" }, context: "c", contentType: "t" })],
  "Account.open": () => [(...a) => account.open(...a), sealed, options({ from: bob.public, expected: { role: "client" }, context: "c", maxAge: 1000 })],
  "Account.openOwn": () => [(...a) => account.openOwn(...a), own, options({ context: "c" })],
  "Account.peers.admit": () => [(...a) => account.peers.admit(...a), bob.public, options({ room: "r" })],
  "Account.peers.verify": () => [(...a) => account.peers.verify(...a), bob.public, options({ role: "client" })],
  "Account.peers.forget": () => [(...a) => account.peers.forget(...a), ann.fingerprint, options({ room: "r" })],
  "Account.peers.revoke": () => [(...a) => account.peers.revoke(...a), ann.public],
  "Account.peers.admitted": () => [(...a) => account.peers.admitted(...a), options({ room: "r" })],
  "RelayClient.connect": () => [connectRelay, "ws://refuse.example/", options({ signal: AbortSignal.abort(), WebSocket: FakeSocket })],
  "RelayClient.join": () => [(...a) => Promise.race([relay.join(...a), new Promise(setImmediate)]), "room", "ann", Uint8Array.of(1)],
  "RelayClient.leave": () => [(...a) => relay.leave(...a), "elsewhere"],
  "RelayClient.publish": () => [(...a) => relay.publish(...a), "room", Uint8Array.of(1)],
  "cleartext.exportIdentity": () => [cleartext.exportIdentity, ann],
  "cleartext.importIdentity": async () => [cleartext.importIdentity, await cleartext.exportIdentity(ann)],
  "cleartext.exportSharedKeyset": () => [cleartext.exportSharedKeyset, shared],
  "cleartext.importSharedKeyset": async () => [cleartext.importSharedKeyset, await cleartext.exportSharedKeyset(shared)],
  init: () => [init, undefined],
  connect: () => [
    connectAndLeave,
    { send() {}, close() {} },
    options({
      ...{ identity: ann, verifier: bob.public, protocol: "p/1", address: "bob", signal: AbortSignal.abort(), proof: "none", allowSelf: false },
      ...{ maxMessage: 0, window: 0, maxCalls: 0, keepAlive: 0, handshakeTimeout: 0, sendTimeout: 0, idleTimeout: 0, maxAge: 0 },
      ...{ credentials: "x", peerFingerprint: "", name: "", retry: {}, onstate() {}, WebSocket: FakeSocket, protocols: [] },
    }),
  ],
  "connect to a URL": () => [
    connectAndLeave,
    "ws://refuse.example/",
    options({ identity: ann, verifier: [bob.public], protocol: "p/1", WebSocket: FakeSocket, protocols: ["x"], signal: AbortSignal.abort() }),
  ],
  createServer: () => [
    (...a) => createServer(...a).shutdown(),
    options({
      ...{ identity: bob, verifier: peers, protocol: "p/1", proof: "none", allowSelf: false, maxMessage: 0, window: 0, maxCalls: 0 },
      ...{ keepAlive: 0, handshakeTimeout: 0, sendTimeout: 0, idleTimeout: 0, maxAge: 0, authenticate: () => true, onerror() {} },
      ...{ maxSessions: 0, maxSessionsPerIdentity: 0, maxParked: 0, parkTimeout: 0, maxHandshakes: 0, maxHandshakesPerAddress: 0 },
    }),
    async () => {},
  ],
  "Server.serve": () => [serveNobody, {}, options({ remote: "r", kind: "ws" })],
  "Session.send": () => [(...a) => session.send(...a), "x", options({ signal: AbortSignal.abort() })],
  openSessionStore: () => [openSessionStore, options({ name: "sessions" })], // not here, for want of IndexedDB
  "Session.sendMessage": () => [(...a) => session.sendMessage(...a), "t", "x", options({ signal: AbortSignal.abort() })],
  "Session.call": () => [(...a) => session.call(...a), "t", "x", options({ signal: AbortSignal.abort() })],
  "Session.receive": () => [(...a) => inATick(session.receive(...a)), options({ signal: AbortSignal.abort() })],
  "Session.flush": () => [(...a) => session.flush(...a), options({ signal: AbortSignal.abort() })],
  "Session.serve": () => [serveBriefly, { t: () => {} }, options({ concurrent: 1, timeout: 1000, onerror() {} })],
  "Session.close": () => [(...a) => closing(...a), options({ code: "wrong", signal: 1 })],
  "Session.renew": () => [(...a) => inATick(session.renew(...a)), options({ signal: AbortSignal.abort() })],
  "Session.recheck": () => [(...a) => inATick(session.recheck(...a)), options({ signal: AbortSignal.abort() })],
  "Session.openStream": () => [(...a) => session.openStream(...a), "t", options({ data: "d", signal: AbortSignal.abort(), onprogress() {} })],
  "Session.receiveStream": () => [(...a) => inATick(session.receiveStream(...a)), options({ signal: AbortSignal.abort() })],
  refuse: () => [throws(hopseal.refuse), "busy"],
  reply: () => [throws(hopseal.reply), 4, "text"],
};

// What makes objects, and what is not asked here: it waits for a relay, or has no arguments.
const elsewhere = ["HopsealError", "Message", "Payload", "SessionStore"]; // which is what openSessionStore gives

class Options {}
const options = (values) => Object.assign(new Options(), values);

function isOptions(value) {
  try {
    return value instanceof Options;
  } catch {
    return false;
  }
}

const inATick = (promise) => Promise.race([promise, new Promise(setImmediate)]);

// connectAndLeave waits for nobody: nobody answers.
async function connectAndLeave(target, given, ...more) {
  const connecting = connect(target, given, ...more);
  connecting.then((session) => session.close(), () => {});
  await inATick(connecting);
}

// serveNobody gives as an error what serve, which never rejects, resolves with.
async function serveNobody(...args) {
  const result = await inATick(server.serve(...args));
  if (result?.error) throw result.error;
}

// serveBriefly is told to stop in a moment.
async function serveBriefly(handlers, given, ...more) {
  if (isOptions(given) && given.signal === undefined) given.signal = AbortSignal.timeout(1);
  await inATick(session.serve(handlers, given, ...more));
}

// closing closes nothing: one of the two options is always wrong.
async function closing(given, ...more) {
  await session.close(isOptions(given) ? given : { code: "wrong" }, ...more);
}

const throws = (run) => async (...args) => {
  const error = run(...args);
  assert.equal(error.name, "HopsealError");
};

// connectRelay closes what it got: with some values there is nothing to refuse.
async function connectRelay(...args) {
  const connecting = RelayClient.connect(...args);
  (await connecting).close();
}

class Lying extends Uint8Array {
  get length() {
    return 2 ** 31;
  }
  get byteLength() {
    return -1;
  }
  get buffer() {
    throw new Error("no buffer");
  }
}

const transferred = (bytes) => (structuredClone(bytes.buffer, { transfer: [bytes.buffer] }), bytes);

function shrunk(View) {
  const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
  const view = new View(buffer, 32, 16 / (View.BYTES_PER_ELEMENT ?? 1));
  buffer.resize(8);
  return view;
}

function revoked(target) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

const thrower = () => {
  throw new Error("not to be asked");
};
const traps = Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((name) => [name, thrower]));

// Values that are wrong in most places. Where one is right after all, nothing need be refused.
const bad = {
  nothing: () => undefined,
  null: () => null,
  true: () => true,
  NaN: () => NaN,
  "-1": () => -1,
  "a half": () => 0.5,
  "a large number": () => 2 ** 53,
  "a bigint": () => 2n ** 64n,
  "a symbol": () => Symbol("s"),
  "empty text": () => "",
  "long text": () => "x".repeat(100_000),
  "a lone surrogate": () => "a\ud800",
  "a byte order mark": () => "\ufeffann",
  "a String": () => Object("text"),
  "a function": () => () => {},
  "a class": () => Identity,
  "an object": () => ({}),
  "an object without prototype": () => Object.create(null),
  "an object of Identity's prototype": () => Object.create(Identity.prototype),
  "an object of PublicIdentity's prototype": () => Object.create(PublicIdentity.prototype),
  "an array": () => [],
  "an array with a hole": () => [bob.public, , bob.public],
  "the longest array": () => new Array(2 ** 32 - 1),
  "an array in itself": () => [[[bob.public]]],
  "a Map": () => new Map([["from", ann]]),
  "a Promise": () => Promise.resolve(ann),
  "a thenable that throws": () => ({ get then() { throw new Error("then"); } }),
  "an Invalid Date": () => new Date(NaN),
  "a Date far away": () => new Date(8.64e15),
  "a RegExp": () => /x/,
  "an Error": () => new Error("x"),
  "an object that throws when asked": () => new Proxy({}, traps),
  "a function that throws when asked": () => new Proxy(() => {}, traps),
  "a Proxy of an array that throws": () => new Proxy([], traps),
  "a revoked Proxy": () => revoked({}),
  "a revoked Proxy of an array": () => revoked([]),
  "a Proxy of an Identity": () => new Proxy(ann, {}),
  "a Proxy of a PublicIdentity": () => new Proxy(ann.public, {}),
  "what throws when it becomes text": () => ({ toString: thrower, valueOf: thrower, [Symbol.toPrimitive]: thrower }),
  "what throws when it is named": () => ({ get [Symbol.toStringTag]() { throw new Error("tag"); }, get constructor() { throw new Error("class"); } }),
  "a closed Identity": () => closed,
  "an Identity": () => ann,
  "a PublicIdentity": () => ann.public,
  "a SharedKeyset": () => shared,
  "bytes that were transferred": () => transferred(new Uint8Array(40)),
  "an ArrayBuffer that was transferred": () => transferred(new Uint8Array(40)).buffer,
  "a DataView that was transferred": () => transferred(new DataView(new ArrayBuffer(40))),
  "a view out of bounds": () => shrunk(Uint8Array),
  "a DataView out of bounds": () => shrunk(DataView),
  "a view of BigInts out of bounds": () => shrunk(BigUint64Array),
  "shared memory": () => new SharedArrayBuffer(40),
  "a view of shared memory": () => new Uint8Array(new SharedArrayBuffer(40)),
  "a Uint8Array that lies": () => new Lying(40),
  "an own length that lies": () => Object.defineProperty(new Uint8Array(40), "length", { value: 2 ** 31 }),
  "no bytes": () => new Uint8Array(0),
  "random bytes": () => crypto.getRandomValues(new Uint8Array(300)),
  "all bits": () => new Uint8Array(300).fill(255),
  "70 MiB": () => huge,
  "an object of another realm": () => runInNewContext("({})"),
  "an array of another realm": () => runInNewContext("[,1]"),
  "a Promise of another realm": () => runInNewContext("Promise.resolve(1)"),
  "bytes of another realm": () => runInNewContext("new Uint8Array(40)"),
};
const huge = new Uint8Array(70 << 20);

async function survives(run, what) {
  let error = null;
  try {
    await run();
  } catch (e) {
    error = e;
  }
  if (error) {
    assert.equal(error.name, "HopsealError", `${what}: ${error.stack}`);
    assert.notEqual(error.code, "core-dead", `${what}: ${error.cause}`);
    assert.ok(error.message, what);
    assert.doesNotMatch(error.message, /\[object|is not a function|Cannot read|undefined \(/, what);
  }
  assert.equal(call(op.info).text(), (await init()).version, what);
}

test("every function is attacked here", () => {
  const names = Object.keys(functions).map((name) => name.replace(/[. ].*/, ""));
  const statics = (Class) => ["parse"].filter((name) => typeof Class[name] === "function").map((name) => `${Class.name}.${name}`);
  for (const [name, value] of Object.entries(hopseal)) {
    if (elsewhere.includes(name)) continue;
    assert.ok(names.includes(name) || name === "SharedKeyset", name);
    for (const part of statics(value)) assert.ok(part in functions, part);
  }
});

for (const [name, make] of Object.entries(functions)) {
  test(`${name}: bad arguments harm nobody`, async () => {
    for (const [kind, value] of Object.entries(bad)) {
      const [, ...args] = await make();
      for (let i = 0; i < args.length; i++) {
        const [run, ...given] = await make();
        given[i] = value();
        await survives(() => run(...given), `${name}, argument ${i}: ${kind}`);
        if (!(args[i] instanceof Options)) continue;
        for (const key of Object.keys(args[i])) {
          const [run, ...given] = await make();
          given[i][key] = value();
          await survives(() => run(...given), `${name}, ${key}: ${kind}`);
          if (!Array.isArray(args[i][key])) continue;
          const [again, ...more] = await make();
          more[i][key] = [value(), value()];
          await survives(() => again(...more), `${name}, ${key}[0]: ${kind}`);
        }
      }
    }
    // And none at all, too many, and a this of another kind.
    const [run, ...args] = await make();
    await survives(() => run(), `${name}, no arguments`);
    await survives(() => run(...args, 1, {}), `${name}, too many arguments`);
    const message = await seal("still here", { from: ann, to: [bob.public] });
    const { data } = await open(message, { identity: bob, from: ann.public, replay: await anyTime() });
    assert.equal(new TextDecoder().decode(data), "still here");
  });
}

test("methods that are called on something else say so", async () => {
  for (const Class of [Identity, KnownPeers, ReplayGuard, RelayClient, SharedKeyset, PublicIdentity]) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Class.prototype))) {
      if (typeof value !== "function" || name === "constructor" || value.constructor.name !== "AsyncFunction") continue;
      for (const target of [undefined, {}, ann.public, Object.create(Class.prototype), new Proxy({}, traps)]) {
        if (Class === RelayClient) continue; // its private fields are the check
        await survives(() => value.call(target, { room: "r" }, ann.public), `${Class.name}.${name}`);
      }
    }
  }
});

const to = () => [bob.public];

test("what came in place of what was wanted is named, in the words of JavaScript", async () => {
  for (const [run, message] of [
    [() => seal(transferred(new Uint8Array(3)), { from: ann, to: to() }), "plaintext: got a view of an ArrayBuffer that was transferred"],
    [() => seal(transferred(new Uint8Array(3)).buffer, { from: ann, to: to() }), "plaintext: got an ArrayBuffer that was transferred"],
    [() => seal(shrunk(Uint8Array), { from: ann, to: to() }), "plaintext: got a view of an ArrayBuffer that was made smaller than the view"],
    [() => seal(new SharedArrayBuffer(3), { from: ann, to: to() }), "plaintext is a SharedArrayBuffer, which may change meanwhile: pass a copy"],
    [() => seal(Promise.resolve("x"), { from: ann, to: to() }), "plaintext must be text or bytes: a string, an ArrayBuffer or a view of one, got a Promise: await it"],
    [() => seal("a\ud800", { from: ann, to: to() }), "plaintext holds half of a character (a lone surrogate): was the text cut in the middle of one?"],
    [() => seal("x", { from: ann, to: to(), contxt: "c" }), 'options has no "contxt": did you mean context?'],
    [() => seal("x", { from: ann, to: to(), replay: 1 }), 'options has no "replay": there are from, to, shared, party, toParty, contentType, context'],
    [() => seal("x", { from: Identity.generate("x"), to: to() }), "from must be an Identity, got a Promise: await it"],
    [() => seal("x", { from: ann, to: [bob] }), "to[0] must be a PublicIdentity, got an Identity: pass its .public"],
    [() => seal("x", { from: ann, to: [, bob.public] }), "to[0] is a hole: an array element that was never set"],
    [() => seal("x", { from: ann, to: bob.public }), "to must be an array, got a PublicIdentity"],
    [() => seal("x", { from: null, to: to() }), "from must be an Identity, got null"],
    [() => seal("x", { from: new Proxy(ann, {}), to: to() }), "from is a Proxy or an imitation of an Identity: pass the original (in Vue: markRaw, toRaw)"],
    [() => seal("x", Promise.resolve({})), "options must be an object, got a Promise: await it"],
    [() => seal("x", [ann]), "options must be an object, got an array"],
    [() => seal("x", { from: ann, to: to(), get context() { throw new Error("no"); } }), "options cannot be read"],
    [() => open("text", {}), "sealed must be bytes: an ArrayBuffer or a view of one, got a string"],
    [() => open(sealed, { identity: bob, from: ann.public, replay: ReplayGuard.create() }), "replay must be a ReplayGuard, got a Promise: await it"],
    [() => open(sealed, { identity: bob, from: ann.public, signal: {} }), "signal must be an AbortSignal, got an object"],
    [() => open(sealed, { identity: bob, from: ann.public, maxAge: 0.5 }), "maxAge, in milliseconds, must be a whole number from 0 to 2592000000, got 0.5"],
    [() => peers.verify({ room: "r", role: "toString" }, ann.public), 'expected.role must be one of "server", "client", "member"'],
    [() => Identity.generate("bob\ufeff"), "keys: a name begins and ends with a character that can be seen"],
    [() => connect("wss://example.com/", Promise.resolve({})), "options must be an object, got a Promise: await it"],
    [() => connect("wss://example.com/", { identity: ann, verifer: bob.public }), 'options has no "verifer": did you mean verifier?'],
    [() => session.send("x", { signl: 1 }), 'options has no "signl": did you mean signal?'],
    [() => session.send(undefined), "data must be text or bytes: a string, an ArrayBuffer or a view of one, got undefined"],
    [() => session.serve({ t: 1 }), 'handlers["t"] must be a function, got 1'],
    [() => RelayClient.connect(7, { WebSocket: FakeSocket }), "the relay's address must be a URL, got 7"],
  ]) {
    assert.equal((await rejects(run(), "bad-argument")).message, message);
  }
});

test("a second copy of the package is named", async () => {
  const copy = await import("../keys.js?copy");
  const foreign = Object.create(copy.Identity.prototype);
  const error = await rejects(seal("x", { from: foreign, to: to() }), "bad-argument");
  assert.equal(error.message, "from is an Identity of another copy of this package: a page loads it once");
});

test("options are own properties, read once: prototypes give nothing", async () => {
  for (const [key, value] of Object.entries({ room: "hidden", context: "hidden", role: "server", replay: 1, to: [ann.public] })) {
    Object.prototype[key] = value;
  }
  try {
    const fresh = await KnownPeers.create();
    await fresh.admit({ room: "r" }, ann.public);
    await rejects(fresh.verify({ address: "a" }, ann.public), "trust-unknown");
    const message = await seal("x", { from: ann, to: to() });
    const { header } = await open(message, { identity: bob, from: ann.public, replay: await anyTime() });
    assert.equal(header.context, "");
    assert.equal((await inspect(message)).recipients.length, 1);
  } finally {
    for (const key of ["room", "context", "role", "replay", "to"]) delete Object.prototype[key];
  }
  const reads = [];
  const counted = new Proxy({ from: ann, to: to(), context: "c" }, { get: (target, key) => (reads.push(key), target[key]) });
  await seal("x", counted);
  assert.deepEqual(reads.filter((key) => typeof key === "string" && key !== "then").sort(), ["context", "from", "to"]);
});

test("text crosses unchanged", async () => {
  for (const text of ["\ufeffann", "\ufeff\ufeff", "a\u0000b", "grüße", "🏴‍☠️", "\ufffd", "\u2028", "e\u0301"]) {
    const name = `x${text}x`;
    assert.equal((await Identity.generate(name)).name, name);
    const message = await seal(text, { from: ann, to: to(), context: text, contentType: text });
    const { data, header } = await open(message, { identity: bob, from: ann.public, context: text, replay: await anyTime() });
    assert.equal(header.context, text);
    assert.equal(header.contentType, text);
    assert.equal(new TextDecoder("utf-8", { ignoreBOM: true }).decode(data), text);
    const known = await KnownPeers.create();
    await known.admit({ room: text }, ann.public);
    await known.verify({ room: text }, ann.public);
    await rejects(known.verify({ room: `${text} ` }, ann.public), "trust-unknown");
  }
});

// Under any clock what is made can be read, or is not made.
test("a clock that is wrong harms nobody", async () => {
  const Real = Date;
  const clocks = [-1e15, -1, 0, 1, 999, 1000, 4e12, 253402300800000, 2 ** 48 - 1, 2 ** 48, 2 ** 40 * 1000, 8.64e15, NaN, Infinity];
  for (const now of clocks) {
    globalThis.Date = class extends Real {
      constructor(...args) {
        super(...(args.length ? args : [now]));
      }
      static now() {
        return now;
      }
    };
    try {
      let me = null;
      await survives(async () => (me = await Identity.generate("me")), `${now}: Identity`);
      if (me) await PublicIdentity.parse(me.public.bytes);
      let keys = null;
      await survives(async () => (keys = await SharedKeyset.generate()), `${now}: SharedKeyset`);
      const guard = await ReplayGuard.create();
      await ReplayGuard.parse(await guard.bytes());
      let message = null;
      await survives(async () => (message = await seal("x", { shared, party: "x", toParty: "y" })), `${now}: seal`);
      if (message) await open(message, { shared, party: "y", fromParty: "x", replay: await anyTime() });
      const memory = await openStore({ record: "r", memory: true });
      await memory.save({ identity: me ?? ann, knownPeers: peers, replay: guard });
      await survives(() => memory.load(), `${now}: load`);
      await memory.close();
    } finally {
      globalThis.Date = Real;
    }
  }
});

// seal never makes what open refuses.
test("whatever seal makes, open takes", async () => {
  const random = (n) => Math.floor(Math.random() * n);
  const texts = ["", "x", "\ufeff", "é".repeat(64), "é".repeat(65), "x".repeat(128), "x".repeat(129), "é".repeat(512), "x".repeat(1024), "x".repeat(1025), "\u0000", "a/b"];
  const text = () => texts[random(texts.length)];
  const others = await Promise.all(Array.from({ length: 5 }, (_, i) => Identity.generate(`other ${i}`)));
  let [made, refused] = [0, 0];
  for (let i = 0; i < 400; i++) {
    const common = { context: text(), ...(random(2) ? { contentType: text() } : {}) };
    const [party, other] = [text(), text()];
    const [sealer, opener] = [
      [{ from: ann, to: [...others.slice(0, random(6)).map((o) => o.public), bob.public] }, { identity: bob, from: ann.public }],
      [{ shared, party, toParty: other }, { shared, party: other, fromParty: party }],
      [{ shared, from: ann, toParty: party }, { shared, party, identity: bob, from: ann.public }],
    ][random(3)];
    const plaintext = new Uint8Array(random(3) ? random(300) : random(40_000)).fill(i);
    let message;
    try {
      message = await seal(plaintext, { ...sealer, ...common });
    } catch (error) {
      assert.equal(error.code, "seal-failed");
      refused++;
      continue;
    }
    made++;
    const { data, header } = await open(message, { ...opener, context: common.context, replay: await anyTime() });
    assert.deepEqual(data, plaintext);
    assert.equal(header.contentType, common.contentType ?? "");
  }
  assert.ok(made > 50 && refused > 50, `${made} made, ${refused} refused`);
});
