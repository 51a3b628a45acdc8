import assert from "node:assert/strict";
import { before, test } from "node:test";
import { init, RelayClient } from "../index.js";
import { FakeSocket, frames, id, join, leave, publish } from "./fakesocket.mjs";
import { rejects } from "./helpers.mjs";

const hex = (n) => Buffer.from(id(n)).toString("hex");
const url = "ws://relay.example/room";
const tick = () => new Promise(setImmediate);

before(() => init());

async function connect(options) {
  const connecting = RelayClient.connect(url, { WebSocket: FakeSocket, ...options });
  await tick();
  const socket = FakeSocket.last;
  socket.open();
  return { relay: await connecting, socket };
}

async function joined(topic = "room") {
  const { relay, socket } = await connect();
  const joining = relay.join(topic, "ann", Uint8Array.of(1, 2));
  await tick();
  socket.deliver(frames.joined(topic, 9));
  await joining;
  socket.sent.length = 0;
  return { relay, socket };
}

const nextOf = (relay) => relay[Symbol.asyncIterator]().next();

test("join, events, publish, leave", async () => {
  const { relay, socket } = await connect();
  assert.equal(socket.binaryType, "arraybuffer");
  const joining = relay.join("room", "ann", Uint8Array.of(1, 2));
  await tick();
  assert.deepEqual(socket.sent, [Uint8Array.from(join("room", "ann", [1, 2]))]);
  socket.deliver(frames.joined("room", 9, [[1, "bob", [7]], [2, "<b>", []]]));
  assert.deepEqual(await joining, {
    id: hex(9),
    members: [
      { id: hex(1), name: "bob", presence: Uint8Array.of(7) },
      { id: hex(2), name: "<b>", presence: new Uint8Array() },
    ],
  });
  socket.deliver(frames.entered("room", 3, "cid", [5]));
  socket.deliver(frames.message("room", 3, [1, 2, 3]));
  socket.deliver(frames.left("room", 3));
  socket.deliver(frames.refused("room", 8));
  assert.deepEqual((await nextOf(relay)).value, { type: "entered", topic: "room", id: hex(3), name: "cid", presence: Uint8Array.of(5) });
  const { value: message } = await nextOf(relay);
  assert.deepEqual(message, { type: "message", topic: "room", from: hex(3), payload: Uint8Array.of(1, 2, 3) });
  assert.equal(message.payload.buffer.byteLength, 3);
  assert.deepEqual((await nextOf(relay)).value, { type: "left", topic: "room", id: hex(3) });
  const { value: refused } = await nextOf(relay);
  assert.equal(refused.error.code, "relay-refused");

  socket.sent.length = 0;
  await relay.publish("room", Uint8Array.of(4));
  await relay.leave("room");
  assert.deepEqual(socket.sent, [publish("room", [4]), leave("room")].map((f) => Uint8Array.from(f)));
  socket.deliver(frames.message("room", 3, [1])); // crossed with our leave
  await rejects(relay.publish("room", Uint8Array.of(4)), "bad-argument");

  relay.close();
  const seen = [];
  for await (const event of relay) seen.push(event);
  assert.deepEqual(seen, [{ type: "closed", error: null }]);
  assert.deepEqual(await relay.closed, { type: "closed", error: null });
  assert.equal(socket.closed, 1000);
});

test("refusals have codes", async () => {
  const codes = { 1: "relay-name-taken", 2: "relay-full", 3: "relay-too-large", 4: "relay-bad-name", 5: "relay-bad-topic", 6: "relay-refused", 99: "relay-refused" };
  for (const [number, code] of Object.entries(codes)) {
    const { relay, socket } = await connect();
    const joining = relay.join("room", "ann", new Uint8Array());
    await tick();
    socket.deliver(frames.refused("room", Number(number)));
    await rejects(joining, code);
    const again = relay.join("room", "ann2", new Uint8Array()); // the connection goes on
    await tick();
    socket.deliver(frames.joined("room", 1));
    await again;
    relay.close();
  }
  const { relay } = await connect();
  await rejects(relay.join("room", "", new Uint8Array()), "relay-bad-name");
  await rejects(relay.join("x".repeat(200), "ann", new Uint8Array()), "relay-bad-topic");
  await rejects(relay.join("room", "ann", new Uint8Array(9000)), "relay-too-large");
  await rejects(relay.join("room", "ann", "text"), "bad-argument");
  relay.close();
});

test("a topic is joined once at a time", async () => {
  const { relay } = await joined();
  await rejects(relay.join("room", "ann", new Uint8Array()), "bad-argument");
  relay.close();
});

// Each of these is a relay's doing, none may throw out of an event handler.
for (const [what, bytes, code] of [
  ["text", "hello", "relay-protocol"],
  ["garbage", [1, 2, 3], "relay-protocol"],
  ["a frame of the other direction", publish("room", [1]), "relay-protocol"],
  ["an answer to nothing", frames.joined("room", 1), "relay-protocol"],
]) {
  test(`A32 ${what} ends the connection with a typed error`, async () => {
    const { relay, socket } = await joined();
    socket.deliver(frames.message("room", 1, [1]));
    socket.deliver(bytes);
    socket.deliver(frames.message("room", 1, [2])); // too late
    const events = [];
    for await (const event of relay) events.push(event);
    assert.equal(events.length, 2, "what came before is delivered");
    assert.equal(events[1].error.code, code);
    assert.equal((await relay.closed).error, events[1].error);
    assert.equal(socket.closed, 1000);
    await rejects(relay.publish("room", new Uint8Array(1)), code);
  });
}

test("A34 events that nobody takes are bounded in number and in bytes", async () => {
  for (const [payload, most] of [[[1], 1024], [new Uint8Array(60_000), (8 << 20) / 60_000]]) {
    const { relay, socket } = await joined();
    const frame = frames.message("room", 1, payload);
    let delivered = 0;
    while (socket.closed === null && delivered < 5000) {
      socket.deliver(frame);
      delivered++;
    }
    assert.ok(delivered <= most + 1, `${delivered}`);
    const { error } = await relay.closed;
    assert.equal(error.code, "relay-overflow");
    let events = 0;
    for await (const event of relay) if (event.type === "message") events++;
    assert.equal(events, delivered - 1, "what was queued is delivered");
  }
});

test("publish waits while the socket holds too much, keeps the order, and is bounded", async () => {
  const { relay, socket } = await joined();
  socket.bufferedAmount = 2 << 20;
  const order = [];
  const first = relay.publish("room", Uint8Array.of(1)).then(() => order.push(1));
  const second = relay.publish("room", Uint8Array.of(2)).then(() => order.push(2));
  await tick();
  assert.equal(socket.sent.length, 0);
  const large = new Uint8Array(3 << 20);
  const waiting = [relay.publish("room", large), relay.publish("room", large)];
  await rejects(relay.publish("room", large), "relay-overflow");
  socket.bufferedAmount = 0;
  await Promise.all([first, second, ...waiting]);
  assert.deepEqual(order, [1, 2]);
  assert.deepEqual(socket.sent.slice(0, 2), [1, 2].map((n) => Uint8Array.from(publish("room", [n]))));
  relay.close();
});

test("close rejects what waits", async () => {
  const { relay, socket } = await joined();
  const unanswered = relay.join("another", "ann", new Uint8Array());
  await tick();
  assert.equal(socket.sent.length, 1);
  socket.bufferedAmount = 2 << 20;
  const publishing = relay.publish("room", Uint8Array.of(1));
  const joining = relay.join("other", "ann", new Uint8Array());
  const reading = nextOf(relay);
  await tick();
  relay.close();
  relay.close();
  await rejects(unanswered, "relay-closed");
  await rejects(publishing, "relay-closed");
  await rejects(joining, "relay-closed");
  assert.equal((await reading).value.type, "closed");
  assert.equal((await nextOf(relay)).done, true);
  await rejects(relay.join("room", "ann", new Uint8Array()), "relay-closed");
});

test("a payload is copied on entry", async () => {
  const { relay, socket } = await joined();
  socket.bufferedAmount = 2 << 20;
  const payload = Uint8Array.of(1, 2, 3);
  const publishing = relay.publish("room", payload);
  payload.fill(0);
  socket.bufferedAmount = 0;
  await publishing;
  assert.deepEqual(socket.sent, [Uint8Array.from(publish("room", [1, 2, 3]))]);
  relay.close();
});

test("A47 a relay's close reason appears escaped", async () => {
  const { relay, socket } = await joined();
  socket.onclose({ code: 1008, reason: "\u001b[2J\u202e<b>", wasClean: true });
  const { error } = await relay.closed;
  assert.equal(error.code, "relay-closed");
  assert.match(error.message, /1008 "\\u001b\[2J\\u202e<b>"/);
});

test("connecting: unreachable, refused, aborted, bad addresses", async () => {
  const attempt = (options) => RelayClient.connect("wss://u:p@relay.example/x?token=secret#f", { WebSocket: FakeSocket, ...options });
  const failing = attempt();
  await tick();
  assert.equal(FakeSocket.last.url, "wss://u:p@relay.example/x?token=secret");
  FakeSocket.last.fail();
  const error = await rejects(failing, "relay-unreachable");
  assert.doesNotMatch(error.message, /secret|u:p/);
  assert.match(error.message, /wss:\/\/relay\.example\/x/);

  await rejects(RelayClient.connect("ws://refuse.example", { WebSocket: FakeSocket }), "relay-unreachable");

  const controller = new AbortController();
  const aborting = attempt({ signal: controller.signal });
  await tick();
  controller.abort(new Error("why"));
  assert.equal((await rejects(aborting, "aborted")).cause.message, "why");
  assert.equal(FakeSocket.last.closed, 1000);
  await rejects(attempt({ signal: AbortSignal.abort() }), "aborted");

  await rejects(RelayClient.connect("ftp://x", { WebSocket: FakeSocket }), "bad-argument");
  await rejects(RelayClient.connect("relay", { WebSocket: FakeSocket }), "bad-argument");
  if (!globalThis.WebSocket) await rejects(RelayClient.connect(url), "bad-argument");
  assert.throws(() => new RelayClient(), { code: "bad-argument" });
  const http = RelayClient.connect("http://relay.example", { WebSocket: FakeSocket });
  await tick();
  assert.equal(FakeSocket.last.url, "ws://relay.example/");
  FakeSocket.last.open();
  (await http).close();
});

test("when the core dies the connection ends and says so", async () => {
  const { relay } = await joined();
  const reading = nextOf(relay);
  const connecting = RelayClient.connect(url, { WebSocket: FakeSocket });
  await tick();
  const late = FakeSocket.last;
  const { theCore } = await import("../core.js");
  assert.throws(() => theCore().call({ valueOf: () => { throw new Error("trap"); } }, []), { code: "core-dead" });
  assert.equal((await reading).value.error.code, "core-dead");
  late.open();
  await rejects(connecting, "core-dead");
  assert.equal(late.closed, 1000);
  await rejects(RelayClient.connect(url, { WebSocket: FakeSocket }), "core-dead");
});
