// A program for Node, whose compiler knows no DOM.
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { Identity, init, open, ReplayGuard, seal } from "hopseal";
import type { HopsealError, ReplayCache } from "hopseal";

export async function server(redis: { set(key: string, until: number): Promise<boolean> }) {
  await init(await readFile("core.wasm"));
  const [ann, bob] = [await Identity.generate("ann"), await Identity.generate("bob")];
  const replay: ReplayCache = { claim: ({ key, until }) => redis.set(key, until.getTime()) };
  const sealed = await seal(Buffer.from("hello"), { from: ann, to: [bob.public] });
  const guard = await ReplayGuard.create({ identity: bob });
  try {
    const { data } = await open(Buffer.from(sealed), { identity: bob, from: ann.public, replay: Math.random() < 0.5 ? replay : guard });
    return Buffer.from(data).toString("utf8");
  } catch (error) {
    const { code, hint, retryable, reason } = error as HopsealError;
    return [code, hint, retryable, reason].join(" ");
  }
}
