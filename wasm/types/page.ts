// What web developers do with what the package returns, in a page.
import { connect, Identity, init, inspect, KnownPeers, open, PublicIdentity, RelayClient, ReplayGuard, seal, SharedKeyset } from "hopseal";
import type { Bytes, CoreSource, Session } from "hopseal";
import { exportIdentity, importIdentity } from "hopseal/insecure-cleartext";

export async function page(socket: WebSocket, file: File, signal: AbortSignal) {
  await init();
  const sources: CoreSource[] = ["/core.wasm", new URL("https://example.com/core.wasm"), await fetch("/core.wasm"), fetch("/core.wasm")];
  sources.push(new ArrayBuffer(8), new Uint8Array(8), await WebAssembly.compileStreaming(fetch("/core.wasm")));
  for (const source of sources) await init(source);

  const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
  const sealed = await seal("hello", { from: ann, to: [bob.public], context: "c" });
  await seal(await file.arrayBuffer(), { from: ann, to: [bob.public] });
  await seal(new DataView(new ArrayBuffer(8)), { from: ann, to: [bob.public] });
  takes(sealed);
  const { data, header } = await open(sealed, { identity: bob, from: ann.public, replay: await ReplayGuard.create({ identity: bob }), signal });
  takes(data);
  const day: number = header.time.getDay();
  takes(ann.public.bytes);
  takes(await exportIdentity(ann));
  await importIdentity(await exportIdentity(ann));
  await PublicIdentity.parse(ann.public.bytes.buffer);
  const peers = await KnownPeers.create();
  takes(await peers.bytes());
  await inspect(await (await fetch("/message")).arrayBuffer());
  const relay = await RelayClient.connect(new URL("wss://example.com/relay"), { signal, WebSocket });
  for await (const event of relay) if (event.type === "message") takes(event.payload);
  const session: Session = await connect("wss://example.com/echo", { identity: ann, verifier: peers, protocol: "echo/1" });
  for await (const message of session) takes(message.data);
  return day;

  // A Uint8Array with a buffer of its own fits all that a page does with bytes.
  async function takes(bytes: Bytes) {
    new Blob([bytes]);
    new File([bytes], "sealed");
    new Response(bytes);
    socket.send(bytes);
    await fetch("/messages", { method: "POST", body: bytes });
    await crypto.subtle.digest("SHA-256", bytes);
    new Uint8Array(8).set(bytes);
    const plain: Uint8Array = bytes;
    return plain.length + bytes.buffer.byteLength;
  }
}

export async function refused(ann: Identity, shared: SharedKeyset) {
  // @ts-expect-error an option that does not exist
  await seal("hello", { from: ann, to: [ann.public], contxt: "c" });
  // @ts-expect-error the secret half in place of the public one
  await seal("hello", { from: ann, to: [ann] });
  // @ts-expect-error two suites at once
  await seal("hello", { from: ann, to: [ann.public], shared, toParty: "y" });
  // @ts-expect-error a promise in place of a value
  await seal("hello", { from: Identity.generate("bob"), to: [ann.public] });
  // @ts-expect-error text is not what seal gives
  await open("sealed", { identity: ann, from: ann.public, replay: await ReplayGuard.create() });
  // @ts-expect-error only the package makes it
  new Identity();
}
