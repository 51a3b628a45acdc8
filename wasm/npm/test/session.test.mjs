// Sessions with both ends in Node, over links in memory.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { connect, createServer, HopsealError, Identity, init, KnownPeers, openAccount, refuse, reply, SharedKeyset } from "../index.js";
import { cut, linkPair } from "./links.mjs";

let ann, bob;
before(async () => {
  await init();
  [ann, bob] = await Promise.all([Identity.generate("ann"), Identity.generate("bob")]);
});

// serving makes a server of bob's, and what connects ann to it.
function serving(handle, options = {}) {
  const links = [];
  const served = [];
  const server = createServer({ identity: bob, verifier: ann.public, protocol: "test/1", ...options }, handle);
  const link = () => {
    const [here, there] = linkPair();
    links.push(here);
    served.push(server.serve(there, { remote: "192.0.2.1" }));
    return here;
  };
  const dial = (more) => connect(link, { identity: ann, verifier: bob.public, protocol: "test/1", address: "bob", ...more });
  return { server, links, served, dial, link };
}

const echo = async (session) => {
  for await (const message of session) await session.sendMessage(message.type, message.data);
};

test("messages of every kind of data come back", async () => {
  const { server, dial } = serving(echo);
  const session = await dial();
  const bytes = new Uint8Array([1, 2, 3]);
  for (const data of ["text", "\ufeffwith a mark", "", bytes, bytes.buffer, new DataView(bytes.buffer, 1)]) {
    await session.send(data);
    const back = await session.receive();
    const want = typeof data === "string" ? new TextEncoder().encode(data) : ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
    assert.deepEqual(back.bytes(), new Uint8Array(want));
    if (typeof data === "string") assert.equal(back.text(), data);
  }
  await session.send(JSON.stringify({ a: [1] }));
  assert.deepEqual((await session.receive()).json(), { a: [1] });
  await session.close();
  const { greeted, ended } = await server.stats();
  assert.deepEqual([greeted.established, greeted.failed, ended.failed], [1, 0, 0]);
  await server.shutdown();
});

test("a session survives its connections, and nothing is lost, doubled or reordered", async () => {
  const { server, links, dial } = serving(echo);
  const session = await dial({ retry: { base: 5, cap: 20 } });
  const states = [];
  session.addEventListener("state", ({ detail }) => states.push(detail.state));
  const count = 3000;
  const sends = (async () => {
    for (let i = 0; i < count; i++) {
      await session.send(String(i));
      if (i % 500 === 250) cut(links.at(-1));
    }
  })();
  for (let i = 0; i < count; i++) assert.equal((await session.receive()).text(), String(i));
  await sends;
  assert.ok(links.length > 3, `${links.length} connections`);
  assert.ok(states.includes("reconnecting") && states.includes("secure"));
  await session.close();
  await server.shutdown();
});

test("handlers answer, refuse and reply", async () => {
  const errors = [];
  const { server, dial } = serving((session) =>
    session.serve(
      {
        add: (message) => JSON.stringify(message.json().reduce((a, b) => a + b)),
        nothing: () => {},
        no: () => {
          throw refuse("unauthorized");
        },
        odd: () => {
          throw reply(7, "odd");
        },
        broken: () => {
          throw new TypeError("a mistake");
        },
        slow: (_, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("late"))),
        wrong: () => 17,
      },
      { onerror: (error) => errors.push(error) },
    ),
  );
  const session = await dial();
  const refused = new Promise((resolve) => session.addEventListener("refused", resolve));
  assert.equal((await session.call("add", "[1,2,3]")).json(), 6);
  assert.equal((await session.call("nothing", "")).bytes().length, 0);
  await assert.rejects(session.call("no", ""), { code: "refused", reason: "unauthorized" });
  await assert.rejects(session.call("odd", ""), { code: "reply", reply: 7, message: "odd" });
  await assert.rejects(session.call("broken", ""), { code: "refused", reason: "failed" });
  await assert.rejects(session.call("wrong", ""), { code: "refused", reason: "failed" });
  await assert.rejects(session.call("toString", ""), { code: "refused", reason: "type" });
  const stop = new AbortController();
  const slow = session.call("slow", "", { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(slow, (error) => error.code === "aborted" && error.cause.message === "enough");
  assert.deepEqual(errors.map((error) => error.name), ["TypeError", "HopsealError"]);
  const id = await session.sendMessage("unknown", "");
  const { detail } = await refused;
  assert.equal(detail.error.id, id);
  assert.equal(detail.error.reason, "type");
  await session.close();
  await server.shutdown();
});

test("streams carry more than a window, with progress, and say whether they are complete", async () => {
  const { server, dial } = serving(async (session) => {
    for await (const { type, data, readable } of session.streams()) {
      let [sum, size] = [0, 0];
      try {
        for await (const chunk of readable) {
          size += chunk.length;
          for (const b of chunk) sum = (sum + b) | 0;
          if (type === "cancel" && size > 100_000) break;
        }
        await session.send(`${type} ${new TextDecoder().decode(data)} ${size} ${sum}`);
      } catch (error) {
        await session.send(`${type} ${error.code}`);
      }
    }
  });
  const session = await dial();
  const size = 5_000_000;
  let arrived = 0;
  const writable = await session.openStream("file", { data: "name", onprogress: (n) => (arrived = n) });
  await new Blob([new Uint8Array(size).fill(1)]).stream().pipeTo(writable);
  assert.equal(arrived, size);
  assert.equal((await session.receive()).text(), `file name ${size} ${size}`);

  const given = (await session.openStream("up")).getWriter();
  await given.write("some");
  await given.abort("no more");
  assert.equal((await session.receive()).text(), "up stream");

  const cancelled = (await session.openStream("cancel")).getWriter();
  await assert.rejects(async () => {
    for (;;) await cancelled.write(new Uint8Array(50_000));
  }, { code: "stream" });
  assert.match((await session.receive()).text(), /^cancel {2}\d+ 0$/);

  const stop = new AbortController();
  const signalled = (await session.openStream("signal", { signal: stop.signal })).getWriter();
  await signalled.write("x");
  stop.abort();
  assert.equal((await session.receive()).text(), "signal stream");
  await session.close();
  await server.shutdown();
});

test("a server asks who comes, and may refuse", async () => {
  const shown = [];
  const { server, dial } = serving(echo, {
    verifier: (peer) => peer.fingerprint === ann.fingerprint,
    authenticate(peer, credentials) {
      shown.push(new TextDecoder().decode(credentials));
      return shown.at(-1) === "good" ? { expires: new Date(Date.now() + 3_600_000) } : false;
    },
  });
  await assert.rejects(dial({ credentials: "bad" }), { code: "handshake", reason: "refused" });
  const session = await dial({ credentials: async () => "good" });
  await session.send("x");
  await session.receive();
  await session.close();
  await assert.rejects(dial({ identity: bob }), HopsealError);
  assert.ok(shown.includes("bad") && shown.includes("good"));
  await server.shutdown();
});

test("known peers decide, and forgetting one ends an open session", async () => {
  const peers = await KnownPeers.create();
  const { server, dial } = serving(echo);
  await assert.rejects(dial({ verifier: peers }), { code: "trust-unknown" });
  await peers.admit({ address: "bob", role: "server" }, bob.public);
  const session = await dial({ verifier: peers });
  await peers.forget({ address: "bob", role: "server" }, bob.fingerprint);
  const { reason, error } = await session.closed;
  assert.equal(reason, "untrusted");
  assert.equal(error.code, "session-closed");
  await server.shutdown();
});

// It ends within moments: Go's timers are not late (internal/wasmbuild/runtime.go).
test("the function's end closes the session, and its error is not told as a success", { timeout: 20_000 }, async () => {
  const told = [];
  const { server, dial } = serving(
    async (session) => {
      const message = await session.receive();
      if (message.text() === "fail") throw new Error("inside");
    },
    { onerror: (error) => told.push(error.message) },
  );
  const good = await dial();
  await good.send("go");
  assert.equal((await good.closed).reason, "peer_closed");
  const bad = await dial();
  await bad.send("fail");
  const { reason, code } = await bad.closed;
  assert.notEqual(reason, "peer_closed");
  assert.equal(code, "failed");
  await assert.rejects(async () => {
    for await (const _ of bad);
  }, { code: "session-closed" });
  assert.deepEqual(told, ["inside"]);
  await server.shutdown();
});

test("one link is one connection, and text on it ends it", async () => {
  const { server, link, links } = serving(echo);
  const session = await connect(link(), { identity: ann, verifier: bob.public, protocol: "test/1", address: "bob", retry: { maxTries: 1 } });
  await session.send("x");
  await session.receive();
  links[0].onmessage({ data: "text" });
  const { error } = await session.closed;
  assert.equal(error.code, "session-closed");
  await server.shutdown();
});

test("sends that nobody awaits are bounded", async () => {
  const { server, dial } = serving(async (session, { signal }) => new Promise((resolve) => signal.addEventListener("abort", resolve)));
  const session = await dial();
  const megabyte = new Uint8Array(1 << 20).subarray(1000);
  const sends = Array.from({ length: 70 }, () => session.send(megabyte).then(() => "sent", (error) => error.code));
  assert.equal(await sends.at(-1), "session-overflow");
  const close = session.close({ code: "failed", signal: AbortSignal.timeout(100) }).catch(() => {});
  await server.shutdown();
  const results = await Promise.all(sends);
  await close;
  assert.ok(results.includes("session-closed"));
});

// values keeps what sessions give it, as a store of one's own does.
function values() {
  const all = new Map();
  const swap = (key, version, change, absent) => {
    const has = all.get(key)?.version ?? 0;
    if (has === version) change();
    return has === version || (absent && has === 0);
  };
  return {
    all,
    get: async (key) => all.get(key) ?? null,
    put: async (key, value, version) => swap(key, version, () => all.set(key, { value, version: version + 1 })),
    delete: async (key, version) => swap(key, version, () => all.delete(key), true),
    keys: async () => all.keys(),
  };
}

test("a stored session goes on in another page, and loses and doubles nothing", async () => {
  const { server, dial } = serving(echo);
  const [store, storeKeys] = [values(), await SharedKeyset.generate()];
  const options = { store, storeKeys, name: "main", retry: { base: 5 } };
  const first = await dial(options);
  for (let i = 0; i < 50; i++) await first.send(String(i));
  const got = new Map(); // by number: what the page was not known to be done with comes again, under its number
  const take = async (session) => {
    const message = await session.receive();
    got.set(message.id, message.text());
    return message.text();
  };
  for (let i = 0; i < 20; i++) await take(first);
  const second = await dial(options);
  assert.equal(second.restored, true);
  assert.equal((await first.closed).reason, "fenced");
  const { id } = second;
  assert.equal(id, first.id);
  while ((await take(second)) !== "49");
  assert.deepEqual([...got.values()], Array.from({ length: 50 }, (_, i) => String(i)));
  assert.ok(store.all.size > 0);
  await assert.rejects(second.openStream("x"), HopsealError);
  await second.close();
  for (let i = 0; i < 200 && store.all.size > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual([...store.all.keys()], []);
  await server.shutdown();
});

test("a store that fails or lies ends a session with a sentence", async () => {
  const { server, dial } = serving(echo);
  const storeKeys = await SharedKeyset.generate();
  const broken = { ...values(), put: () => Promise.reject(new Error("disk full")) };
  await assert.rejects(dial({ store: broken, storeKeys, name: "a", signal: AbortSignal.timeout(500) }), HopsealError);
  const wrong = { ...values(), get: async () => ({ value: "text", version: -1 }) };
  await assert.rejects(dial({ store: wrong, storeKeys, name: "a", signal: AbortSignal.timeout(500) }), HopsealError);
  await assert.rejects(dial({ store: values(), name: "a" }), { code: "bad-argument" });
  await assert.rejects(dial({ store: {}, storeKeys, name: "a" }), { code: "bad-argument" });
  await server.shutdown();
});

test("an account stands for its peers", async () => {
  const me = await openAccount({ record: "me", memory: true });
  const { server, link } = serving(echo, { verifier: me.public });
  const options = { identity: me, verifier: me, protocol: "test/1", address: "bob" };
  await assert.rejects(connect(link, options), { code: "trust-unknown" });
  await me.peers.admit(bob.public, { address: "bob", role: "server" });
  const session = await connect(link, options);
  await session.send("x");
  assert.equal((await session.receive()).text(), "x");
  await session.close();
  await server.shutdown();
  await me.close();
});
