// A session of the package in Node with a server written in Go: session.mjs URL SERVER'S-IDENTITY-IN-BASE64.
import assert from "node:assert/strict";
import { connect, HopsealError, Identity, init, PublicIdentity } from "../npm/index.js";

const [url, encoded] = process.argv.slice(2);
await init();
const me = await Identity.generate("node");
const server = await PublicIdentity.parse(new Uint8Array(Buffer.from(encoded, "base64")));
const states = [];
const options = { identity: me, verifier: server, protocol: "echo/1" };

const session = await connect(url, { ...options, onstate: ({ state }) => states.push(state) });
assert.equal(session.peer.fingerprint, server.fingerprint);
assert.equal(session.state, "secure");
assert.deepEqual(states.slice(0, 3), ["connecting", "handshaking", "secure"]);

// Messages arrive once, in order, whether or not each send is awaited.
const count = 2000;
const sent = Promise.all(Array.from({ length: count }, (_, i) => session.send(`message ${i}`)));
let next = 0;
for await (const message of session) {
  assert.equal(message.text(), `message ${next++}`);
  if (next === count) break;
}
await sent;

const large = new Uint8Array(900_000).fill(7);
await session.sendMessage("large", large);
const back = await session.receive();
assert.equal(back.type, "large");
assert.deepEqual(back.bytes(), large);

assert.equal((await session.call("twice", "one")).text(), "oneone");
await assert.rejects(session.call("none", ""), { code: "refused", reason: "type" });
await assert.rejects(session.call("error", ""), { code: "reply", reply: 404, message: "not here" });
await session.flush();

// The server closes the connection, and the session goes on.
await session.call("cut", "").catch(() => {});
assert.equal((await session.call("twice", "two")).text(), "twotwo");
assert.ok(states.includes("reconnecting"));
const stats = await session.stats();
assert.ok(stats.resumes >= 1 && stats.messagesSent > count, JSON.stringify(stats));

// A receive that was given up costs no message.
const stop = new AbortController();
const given = session.receive({ signal: stop.signal });
stop.abort();
await assert.rejects(given, { code: "aborted" });
await session.send("after");
assert.equal((await session.receive()).text(), "after");

await session.close();
const how = await session.closed;
assert.deepEqual([how.reason, how.code, how.gap, how.missing], ["closed", "done", null, 0]);
await assert.rejects(session.send("more"), { code: "session-closed" });
await session.close();

// Who is not the one that was meant gets nothing.
await assert.rejects(connect(url, { ...options, verifier: me.public }), { code: "trust-unknown" });
await assert.rejects(connect(url, { ...options, verifier: () => false }), { code: "trust-unknown" });
await assert.rejects(connect(url, { ...options, verifier: () => undefined }), HopsealError);
await assert.rejects(connect(url, { ...options, protocol: "echo/2" }), { code: "handshake", reason: "protocol" });
await assert.rejects(connect(url.replace(/\d+$/, "1"), options), { code: "unreachable" });
await assert.rejects(connect(url, { ...options, signal: AbortSignal.abort() }), { code: "aborted" });
await connect(url, { ...options, verifier: (peer) => peer.fingerprint === server.fingerprint }).then((s) => s.close());
console.log("all well");
