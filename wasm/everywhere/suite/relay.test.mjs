import { decoder, fails, hopseal, pair, same, services, test } from "./page.mjs";

const { open, RelayClient, seal } = hopseal;

test.short("two pages meet at a relay", async () => {
  const { ann, bob, replay } = await pair();
  const connect = () => RelayClient.connect(`${services}/relay`);
  const [hers, his, third] = [await connect(), await connect(), await connect()];
  await hers.join("room", "ann", ann.public.bytes);
  const { members } = await his.join("room", "bob", bob.public.bytes);
  const [met] = members;
  same([members.length, met.name, met.presence.length], [1, "ann", ann.public.bytes.length]);
  await fails(third.join("room", "ann", new Uint8Array()), "relay-name-taken");
  third.close();
  await hers.publish("room", await seal("over the relay", { from: ann, to: [bob.public] }));
  for await (const event of his) {
    if (event.type !== "message") continue;
    same(
      decoder.decode((await open(event.payload, { identity: bob, from: ann.public, replay })).data),
      "over the relay",
    );
    break;
  }
  his.close();
  for await (const event of hers) if (event.type === "left") break;
  hers.close();
});
