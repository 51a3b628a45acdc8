import { fails, hopseal, same, services, test, toServices, until } from "./page.mjs";

const { connect, createServer, Identity } = hopseal;

test.short("a session sends, receives and calls", async () => {
  const session = await toServices();
  const sent = Promise.all(Array.from({ length: 200 }, (_, i) => session.send(`message ${i}`)));
  let next = 0;
  for await (const message of session) {
    same(message.text(), `message ${next++}`);
    if (next === 200) break;
  }
  await sent;
  same((await session.call("echo", "grüße")).text(), "grüße");
  same((await fails(session.call("none", ""), "refused")).reason, "type");
  await session.close();
  same((await session.closed).reason, "closed");
});

test.short("a session outlives its connection", async () => {
  const states = [];
  const session = await toServices({ onstate: ({ state }) => states.push(state) });
  for (let i = 0; i < 2; i++) {
    const echoes = Array.from({ length: 20 }, (_, j) => session.call("echo", `${i} ${j}`));
    await session.call("cut", "").catch(() => {});
    same(
      (await Promise.all(echoes)).map((echo) => echo.text()),
      echoes.map((_, j) => `${i} ${j}`),
    );
  }
  same([states[0], states.includes("reconnecting")], ["connecting", true]);
  await session.close();
});

test("a large message crosses a session", async () => {
  const session = await toServices();
  const large = new Uint8Array(900_000).map((_, i) => i ^ (i >> 8));
  await session.sendMessage("large", large);
  const back = await session.receive();
  same([back.type, back.bytes().length, back.bytes().every((b, i) => b === large[i])], ["large", large.length, true]);
  await session.close();
});

test("who is not the one that was meant gets nothing", async () => {
  await fails(toServices({ verifier: (await Identity.generate("other")).public }), "trust-unknown");
  await fails(toServices({ protocol: "echo/2" }), "handshake");
});

test("a service that is not there is unreachable", async () => {
  const me = await Identity.generate("me");
  const options = { identity: me, verifier: me.public, protocol: "echo/1" };
  await fails(connect("ws://127.0.0.1:1/", options), "unreachable");
  await fails(connect(`${services}/nothing`, options), "unreachable");
});

test.short("two ends talk over a link, and a stream crosses it", async () => {
  const [client, server] = [await Identity.generate("client"), await Identity.generate("server")];
  const [near, far] = links();
  const service = createServer({ identity: server, verifier: client.public, protocol: "sum/1" }, async (session) => {
    for await (const { type, readable } of session.streams()) {
      let [size, sum] = [0, 0];
      for (const reader = readable.getReader(); ;) {
        const { value, done } = await reader.read();
        if (done) break;
        size += value.length;
        for (const b of value) sum = (sum + b) % 65_521;
      }
      await session.send(JSON.stringify([type, size, sum]));
    }
  });
  const served = service.serve(far);
  const session = await connect(near, {
    identity: client,
    verifier: server.public,
    protocol: "sum/1",
    address: "this page",
  });
  const part = new Uint8Array(256 << 10).map((_, i) => i ^ (i >> 8));
  const [parts, progress] = [12, []];
  const writer = (await session.openStream("numbers", { onprogress: (arrived) => progress.push(arrived) })).getWriter();
  for (let i = 0; i < parts; i++) await writer.write(part);
  await writer.close();
  const sum = part.reduce((all, b) => (all + b) % 65_521, 0);
  same((await session.receive()).json(), ["numbers", parts * part.length, (parts * sum) % 65_521]);
  same(progress.at(-1), parts * part.length);
  await session.close();
  same((await served).error, null);
  await service.shutdown();
});

// links are two ends of a connection within the page, as an application has over whatever it likes.
function links() {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2].map((port) => {
    const link = {
      send: (message) => port.postMessage(message),
      close: () => (port.postMessage(null), end()),
      onmessage: null,
      onclose: null,
    };
    const end = () => (port.close(), link.onclose?.(), (link.onclose = null));
    port.onmessage = ({ data }) => (data === null ? end() : link.onmessage?.(data));
    return link;
  });
}

test.short(
  "a session survives a reload",
  async () => {
    const me = await hopseal.openAccount({ record: "reloaded" });
    const store = await hopseal.openSessionStore();
    const session = await toServices({ identity: me, store, name: "main" });
    for (let i = 0; i < 20; i++) await session.send(`kept ${i}`);
    same((await session.receive()).text(), "kept 0");
    sessionStorage.setItem("session", session.id); // nothing is closed, as where a user reloads
  },
  async () => {
    await hopseal.init();
    const me = await hopseal.openAccount({ record: "reloaded" });
    const store = await hopseal.openSessionStore();
    const session = await toServices({ identity: me, store, name: "main" });
    same([session.restored, session.id], [true, sessionStorage.getItem("session")]);
    const got = new Map();
    while (got.get(20n) === undefined) {
      const message = await session.receive();
      got.set(message.id, message.text());
    }
    same([...got.values()].at(-1), "kept 19");
    same(got.size >= 19, true); // what the page was not known to be done with comes again
    await session.close();
    await until(async () => (await store.keys()).length === 0);
    store.close();
    await me.close();
  },
);
