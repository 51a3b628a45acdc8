// Attacks on sessions: pages that are careless, callbacks that throw anything, links that do as they like.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { connect, createServer, HopsealError, Identity, init } from "../index.js";
import { targetOf } from "../link.js";
import { captureInstance } from "./helpers.mjs";
import { cut, linkPair } from "./links.mjs";

let ann, bob, instance;
const unhandled = [];

before(async () => {
  process.on("unhandledRejection", (error) => unhandled.push(error));
  process.on("uncaughtException", (error) => unhandled.push(error));
  instance = await captureInstance(init);
  [ann, bob] = await Promise.all([Identity.generate("ann"), Identity.generate("bob")]);
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// within says what becomes of a promise, or that nothing does.
const within = (promise, ms = 8000) => {
  let timer;
  const over = new Promise((resolve) => (timer = setTimeout(resolve, ms, "nothing")));
  return Promise.race([promise.then((value) => value ?? "ok", (error) => error.code ?? error.name), over]).finally(() => clearTimeout(timer));
};

function serving(handle, options = {}) {
  const [links, served] = [[], []];
  const server = createServer({ identity: bob, verifier: ann.public, protocol: "test/1", onerror() {}, ...options }, handle);
  const link = () => {
    const [here, there] = linkPair();
    links.push(here);
    served.push(server.serve(there));
    return here;
  };
  const to = (target, more) => connect(target, { identity: ann, verifier: bob.public, protocol: "test/1", address: "bob", retry: { base: 5 }, ...more });
  return { server, links, served, link, to, dial: (more) => to(link, more) };
}

const echo = async (session) => {
  for await (const message of session) await session.sendMessage(message.type, message.data);
};
const idle = (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve));

// silent runs with console.error collected.
async function silent(run) {
  const [original, said] = [console.error, []];
  console.error = (error) => said.push(error);
  try {
    await run();
    await sleep(5);
  } finally {
    console.error = original;
  }
  return said;
}

test("callbacks that throw are reported, and cost nobody else anything", async () => {
  const { server, dial } = serving(async (session) => {
    for await (const { readable } of session.streams()) {
      for await (const _ of readable);
      await session.send("got it");
    }
  });
  const said = await silent(async () => {
    const session = await dial({ onstate: async () => Promise.reject(new Error("state")) });
    const writer = (await session.openStream("t", { onprogress() { throw new Error("progress"); } })).getWriter();
    await writer.write("abc");
    assert.equal(await within(writer.close()), "ok");
    assert.equal((await session.receive()).text(), "got it");
    const serve = session.serve(() => { throw new Error("mine"); }, { onerror: async () => Promise.reject(new Error("onerror")) });
    await session.close();
    await serve;
    await server.shutdown();
  });
  assert.ok(said.some((error) => error.message === "progress") && said.some((error) => error.message === "state"));
  assert.deepEqual(unhandled, []);
});

test("errors of callbacks that mean something else in the core, or cannot be read, are only failures", async () => {
  const thrown = [
    ...["core-dead", "refused", "session-closed", "reply", "aborted", "bad-argument", "closed"].map((code) => new HopsealError(code, "old")),
    Object.assign(new HopsealError("credentials", "x"), { code: { toString: null } }),
    Object.defineProperty(new Error(), "message", { get() { throw 1; } }),
    Object.create(null), Symbol("s"), null, undefined, 7, "text", { message: 7n }, { message: { toString() { throw 1; } } },
    Object.assign(new HopsealError("refused", "x"), { message: {} }),
  ];
  const { server, dial } = serving(echo);
  for (const what of thrown) {
    const callback = () => { throw what; };
    assert.equal(await within(dial({ verifier: callback })), "callback", typeof what);
    assert.notEqual(await within(dial({ credentials: callback })), "nothing");
    assert.equal(await within(connect(callback, { identity: ann, verifier: bob.public, protocol: "test/1", address: "b" })), "unreachable");
  }
  assert.equal(await within(dial({ verifier: () => { throw new HopsealError("trust-revoked", "no"); } })), "trust-revoked");
  for (const answer of [1, "true", {}, [], null, undefined, new Boolean(true)]) {
    assert.equal(await within(dial({ verifier: () => answer })), "callback");
  }
  assert.equal(await within(dial({ verifier: async () => false })), "trust-unknown");
  const session = await dial();
  await session.send("x");
  assert.equal((await session.receive()).text(), "x");
  await session.close();
  await server.shutdown();
  const lax = serving(echo, { authenticate() {} }); // which has decided nothing
  assert.equal(await within(lax.dial({ credentials: "c" })), "handshake");
  await lax.server.shutdown();
});

test("a handler's odd errors are refusals", async () => {
  const odd = [Object.assign(new HopsealError("reply", "x"), { reply: 7, message: {} }), { code: "reply", reply: 1, message: Symbol("s") },
    { get code() { throw 1; } }, { code: "refused", reason: "toString" }, Symbol("x"), undefined];
  const { server, dial } = serving((session) => session.serve((message) => { throw odd[message.text()]; }, { onerror() {} }));
  const session = await dial();
  for (const i of odd.keys()) assert.match(await within(session.call("t", String(i))), /^(refused|reply)$/, String(i));
  await session.close();
  await server.shutdown();
});

test("what was sent before close arrives, and what came before a serve is served", async () => {
  const got = [];
  let go;
  const gate = new Promise((resolve) => (go = resolve));
  const { server, dial, served } = serving(async (session) => {
    for (let i = 0; i < 180; i++) got.push((await session.receive()).id);
    await gate;
    await session.serve((message) => void got.push(message.id));
  });
  const session = await dial();
  const sends = Array.from({ length: 200 }, () => session.send(new Uint8Array(20_000)));
  assert.equal(await within(session.close()), "ok");
  await Promise.all(sends);
  await sleep(20);
  go();
  assert.deepEqual(await within(served[0]), { error: null });
  assert.deepEqual(got, Array.from({ length: 200 }, (_, i) => BigInt(i + 1)));
  await server.shutdown();
});

test("a receive that is aborted costs no message, whoever is next", async () => {
  let go;
  const { server, dial, links } = serving(async (session) => {
    await new Promise((resolve) => (go = resolve));
    for (let i = 0; i < 6; i++) await session.send(String(i));
    await session.receive().catch(() => {});
  });
  const session = await dial();
  const stop = new AbortController();
  const waiting = session.receive({ signal: stop.signal });
  const other = session.receive();
  stop.abort();
  assert.equal(await within(waiting), "aborted");
  go();
  assert.equal((await other).text(), "0");
  for (let i = 1; i < 3; i++) {
    const again = new AbortController();
    const aborting = session.receive({ signal: again.signal });
    again.abort();
    assert.equal(await within(aborting), "aborted");
    assert.equal((await session.receive()).text(), String(i));
  }
  const last = new AbortController();
  const aborting = session.receive({ signal: last.signal });
  last.abort();
  assert.equal(await within(aborting), "aborted");
  const got = [];
  session.serve(async (message) => {
    if (got.length === 0) await sleep(10);
    got.push(message.text());
  }).catch(() => {});
  await sleep(60);
  assert.deepEqual(got, ["3", "4", "5"]);
  assert.equal(links.length, 1);
  await session.close();
  await server.shutdown();
});

test("a signal ends whatever waits", async () => {
  const { server, dial } = serving(idle);
  const session = await dial();
  const sends = Array.from({ length: 30 }, () => within(session.send(new Uint8Array(100_000))));
  const big = Array.from({ length: 5 }, () => within(session.send(new Uint8Array(900_000))));
  const stop = new AbortController();
  const waits = [
    session.send("x", { signal: stop.signal }),
    session.flush({ signal: stop.signal }),
    session.call("t", "", { signal: stop.signal }),
    session.receive({ signal: stop.signal }),
    session.receiveStream({ signal: stop.signal }),
  ].map((promise) => within(promise, 1000));
  await sleep(50);
  stop.abort();
  assert.deepEqual(await Promise.all(waits), Array(5).fill("aborted"));
  await within(session.close({ code: "failed", signal: AbortSignal.timeout(10) }));
  assert.ok(![...(await Promise.all(sends)), ...(await Promise.all(big))].includes("nothing"));
  await server.shutdown();
});

test("a stream that nobody reads can be given up", async () => {
  const { server, dial } = serving(async (session, options) => {
    const stream = await session.receiveStream();
    await idle(stream, options);
  });
  for (const how of ["abort", "signal", "close"]) {
    const session = await dial();
    const stop = new AbortController();
    const writer = (await session.openStream("t", { signal: stop.signal })).getWriter();
    writer.closed.catch(() => {});
    const write = within(writer.write(new Uint8Array(3_000_000)), 2000);
    await sleep(50);
    if (how === "signal") stop.abort();
    else assert.equal(await within(writer.abort("no"), 1000), "ok");
    assert.notEqual(await write, "nothing", how);
    await within(session.close());
    stop.abort(); // which finds nothing to end
  }
  await server.shutdown();
  assert.deepEqual(unhandled, []);
});

// Links that break what links promise. After each of them the session goes on over another.
const odd = {
  "sends a frame of 70 MiB": (link) => link.onmessage({ data: new Uint8Array(70 << 20) }),
  "sends text": (link) => link.onmessage({ data: "text" }),
  "sends nothing": (link) => link.onmessage(),
  "sends random bytes": (link) => link.onmessage(crypto.getRandomValues(new Uint8Array(500))),
  "sends 5,000 messages in one go": (link) => { for (let i = 0; i < 5000; i++) link.onmessage(new Uint8Array(10)); },
  "closes with a code that is none": (link) => link.onclose({ code: "x", reason: Symbol("x") }),
  "closes with half a code": (link) => link.onclose({ code: 1.5 }),
  "closes with no code": (link) => link.onclose({ code: NaN, reason: { toString() { throw 1; } } }),
  "closes twice": (link) => { link.onclose({ code: 1006 }); link.onclose({ code: 1006 }); link.onmessage(new Uint8Array(3)); },
  "closes without reason": (link) => link.onclose(),
  "throws when it sends": (link) => (link.send = () => { throw new Error("no"); }),
  "rejects when it sends": (link) => (link.send = async () => Promise.reject(new Error("no"))),
  "has a then that throws": (link) => (link.send = () => ({ get then() { throw 1; } })),
  "throws when it closes": (link) => { link.close = () => { throw new Error("no"); }; link.onmessage("text"); },
  "rejects when it closes": (link) => { link.close = () => Promise.reject(new Error("no")); link.onmessage("text"); },
  "tells of its close at once": (link) => { link.close = () => link.onclose({ code: 1000 }); link.onmessage("text"); },
  "is cut": cut,
};

for (const [what, attack] of Object.entries(odd)) {
  test(`a link that ${what} harms no session`, async () => {
    const { server, dial, links } = serving(echo);
    const session = await dial();
    attack(links[0]);
    for (let i = 0; i < 3; i++) await session.send(String(i));
    for (let i = 0; i < 3; i++) assert.equal((await session.receive()).text(), String(i));
    assert.equal(links.length, 2);
    assert.equal(await within(session.close()), "ok");
    await server.shutdown();
    assert.deepEqual(unhandled, []);
  });
}

test("a link that cannot be used is closed, and an error says so", async () => {
  const { server, to } = serving(echo);
  for (const make of [
    () => ({ readyState: 0 }), () => ({ readyState: 2 }), () => ({ readyState: 3 }), () => ({ readyState: "connecting" }),
    () => ({ get readyState() { throw new Error("no"); } }),
    () => ({ set onmessage(_) { throw new Error("no"); } }),
    () => ({ set binaryType(_) { throw new Error("no"); } }),
  ]) {
    let closed = 0;
    const link = () => Object.defineProperties(make(), { send: { value() {} }, close: { value() { closed++; } } });
    assert.equal(await within(to(link)), "unreachable");
    assert.ok((await within(server.serve(link()))).error instanceof HopsealError);
    assert.equal(closed, 2);
  }
  await server.shutdown();
  let closed = 0;
  const { error } = await within(server.serve({ send() {}, close() { closed++; } }));
  assert.equal(error.code, "closed");
  assert.equal(closed, 1);
});

test("a link that is dialled too late is closed", async () => {
  const { link, to, server } = serving(echo);
  const stop = new AbortController();
  let give;
  const connecting = to(() => new Promise((resolve) => (give = resolve)), { signal: stop.signal });
  await sleep(5);
  stop.abort();
  assert.equal(await within(connecting), "aborted");
  const late = link();
  give(late);
  await sleep(50);
  assert.equal(late.open, false);
  await server.shutdown();
});

test("handlers are bounded, and a server waits for its functions", async () => {
  let [running, most, done] = [0, 0, false];
  const { server, dial } = serving(async (session) => {
    await session.serve(async () => {
      most = Math.max(most, ++running);
      await sleep(30); // whatever the signal says
      running--;
    }, { concurrent: 3, timeout: 1 });
    await sleep(50);
    done = true;
  });
  const session = await dial();
  const calls = await Promise.all(Array.from({ length: 12 }, () => within(session.call("t", ""))));
  assert.ok(calls.includes("refused"), String(calls)); // busy
  assert.equal(most, 3);
  await session.close();
  await server.shutdown();
  assert.ok(done);
});

test("what nobody awaits stays out of the core", async () => {
  const { server, dial } = serving(idle);
  const session = await dial();
  const was = instance.exports.mem.buffer.byteLength;
  const all = [];
  for (let i = 0; i < 140_000; i++) all.push(within(session.send(""), 20_000));
  for (let i = 0; i < 1000; i++) all.push(within(session.call("t", new Uint8Array(20_000)), 20_000));
  for (let i = 0; i < 5000; i++) all.push(within(session.stats(), 20_000));
  await sleep(10);
  const grown = instance.exports.mem.buffer.byteLength - was;
  await within(session.close({ code: "failed", signal: AbortSignal.abort() }));
  const results = new Set(await Promise.all(all));
  assert.ok(!results.has("nothing"));
  assert.ok(results.has("session-overflow") && results.has("session-closed"), [...results].join());
  assert.ok(grown < 100 << 20, `${grown >> 20} MiB`);
  await server.shutdown();
  const again = serving(echo);
  const works = await again.dial();
  await works.send("x");
  assert.equal((await works.receive()).text(), "x");
  await works.close();
  await again.server.shutdown();
});

// Last, since it takes everything down.
test("when the core dies everything that waits ends, and init starts anew", async () => {
  const { server, dial, links, served } = serving(async (session, options) => {
    await session.send("here");
    await idle(session, options);
  });
  const [session, blocked] = [await dial(), await dial()];
  const big = Array.from({ length: 30 }, () => blocked.send(new Uint8Array(900_000)));
  big.forEach((send) => send.catch(() => {}));
  const stream = (await session.openStream("t")).getWriter();
  stream.closed.catch(() => {});
  await session.receive();
  const waits = {
    receive: session.receive(), call: session.call("t", ""), serve: blocked.serve(() => {}), streams: session.receiveStream(),
    write: stream.write(new Uint8Array(3_000_000)), flush: blocked.flush(), send: big.at(-1), served: served[0].then(({ error }) => Promise.reject(error)),
    dial: connect(() => new Promise(() => {}), { identity: ann, verifier: bob.public, protocol: "test/1", address: "b" }),
  };
  const closed = within(session.closed);
  const results = Object.entries(waits).map(async ([what, promise]) => [what, await within(promise)]);
  await sleep(20);
  new Uint8Array(instance.exports.mem.buffer).fill(255);
  assert.equal(await within(session.stats()), "core-dead");
  for (const [what, result] of await Promise.all(results)) assert.equal(result, "core-dead", what);
  assert.equal((await closed).reason, "core-dead");
  assert.equal(session.state, "closed");
  for (let i = 0; i < 2; i++) {
    for (const late of [session.receive(), session.send("x"), session.call("t", ""), session.flush(), session.serve(() => {}), session.info()]) {
      assert.equal(await within(late), "core-dead");
    }
  }
  assert.ok(links.every((link) => !link.open));
  await init();
  assert.equal(await within(session.receive()), "core-dead");
  assert.equal(await within(server.shutdown()), "closed");
  ann = await Identity.generate("ann");
  bob = await Identity.generate("bob");
  const again = serving(echo);
  const works = await again.dial();
  await works.send("x");
  assert.equal((await works.receive()).text(), "x");
  await works.close();
  await again.server.shutdown();
  assert.deepEqual(unhandled, []);
});

test("a URL is asked about as e2e.Address of Go names it", () => {
  for (const [url, want] of Object.entries({
    "wss://Example.com": "example.com:443", "https://example.com/": "example.com:443", "ws://example.com": "example.com:80",
    "http://example.com:8080/a/b/": "example.com:8080/a/b", "wss://example.com/a?token=x#y": "example.com:443/a",
    "wss://[2001:DB8::1]/": "[2001:db8::1]:443", "ws://u:p@h:/a//": "h:80/a/", "ws://h/a|b^c": "h:80/a%7Cb%5Ec", "ws://h/%41": "h:80/%41",
  })) assert.equal(targetOf(url, "url").address, want);
});
