import { fails, hopseal, same, services, test, toServices } from "./page.mjs";

const { connect, Identity } = hopseal;

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
    same((await Promise.all(echoes)).map((echo) => echo.text()), echoes.map((_, j) => `${i} ${j}`));
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
