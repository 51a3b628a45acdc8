// A relay and a service of sessions, in Go.
import { start } from "./files.js";

// startServices starts them for pages of the origins.
export async function startServices(root, ...origins) {
  const { found, stop } = await start("go", ["run", "./wasm/everywhere/services", ...origins], /(ws:\/\/\S+) (\S+)\n/, {
    cwd: root,
    stdin: "pipe",
  });
  return { url: found[1], identity: found[2], stop };
}
