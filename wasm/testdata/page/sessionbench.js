// Times a page that sends 10,000 messages of 1 KiB to a service written in Go: through a session, and through a plain
// WebSocket, in turns. Each run ends when the service says that it has them all. Best of several; rates in messages a second.

export async function measureSessions(hopseal, { sealed, plain, identity }) {
  const { connect, Identity, PublicIdentity } = hopseal;
  const count = 10_000;
  const message = new Uint8Array(1024).fill(7);
  const server = await PublicIdentity.parse(identity);
  const me = await Identity.generate("bench");
  const results = {};
  const keep = (name, value, best) => (results[name] = name in results ? best(results[name], value) : value);

  const socket = new WebSocket(plain);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve) => (socket.onopen = resolve));
  for (let round = 0; round < 5; round++) {
    let since = performance.now();
    const session = await connect(sealed, { identity: me, verifier: server, protocol: "sink/1" });
    keep("handshake-ms", performance.now() - since, Math.min);

    since = performance.now();
    for (let i = 0; i < 200; i++) await session.call("count", "");
    keep("call-us", ((performance.now() - since) / 200) * 1000, Math.min);

    since = performance.now();
    let last;
    for (let i = 0; i < count; i++) last = session.send(message);
    await last;
    await session.call("count", "");
    keep("session-per-s", (count / (performance.now() - since)) * 1000, Math.max);
    await session.close();

    since = performance.now();
    const all = new Promise((resolve) => (socket.onmessage = resolve));
    for (let i = 0; i < count; i++) socket.send(message);
    await all;
    keep("plain-per-s", (count / (performance.now() - since)) * 1000, Math.max);
  }
  socket.close();
  results["session/plain"] = results["session-per-s"] / results["plain-per-s"];
  return results;
}
