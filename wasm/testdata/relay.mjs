// The JavaScript side of TestNodeTalksThroughARealRelay: its peer, in Go, echoes.
import assert from "node:assert/strict";
import { init, RelayClient } from "../npm/index.js";

await init();
const bytes = (text) => new TextEncoder().encode(text);
const text = (value) => new TextDecoder().decode(value);

const relay = await RelayClient.connect(process.argv[2]);
await assert.rejects(relay.join("room", "ann", bytes("")), { code: "relay-name-taken" });
const { id, members } = await relay.join("room", "node", bytes("presence of node"));
assert.match(id, /^[0-9a-f]{32}$/);
assert.deepEqual(members.map((m) => [m.name, text(m.presence)]), [["ann", "presence of ann"]]);

const sizes = [0, 1, 1000, 100_000];
for (const size of sizes) await relay.publish("room", new Uint8Array(size).fill(65));
for await (const event of relay) {
  assert.equal(event.type, "message");
  assert.equal(event.from, members[0].id);
  assert.equal(text(event.payload), "echo: " + "A".repeat(sizes.shift()));
  if (sizes.length === 0) break;
}

// A frame that the relay refuses to take ends the connection, and says why.
const other = await RelayClient.connect(process.argv[2]);
await other.join("elsewhere", "node", bytes(""));
await other.publish("elsewhere", new Uint8Array(1 << 20));
const { error } = await other.closed;
assert.equal(error.code, "relay-closed");
await assert.rejects(other.publish("elsewhere", bytes("")), { code: "relay-closed" });

await relay.leave("room");
relay.close();
assert.equal((await relay.closed).error, null);
await assert.rejects(RelayClient.connect("ws://127.0.0.1:1/"), { code: "relay-unreachable" });
for await (const _ of process.stdin); // until the test has seen us leave
console.log("all well");
