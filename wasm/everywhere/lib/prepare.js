// Packs the package and installs it, beside the tools, into a folder outside of the repository.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL, fileURLToPath } from "node:url";
import { createRequire } from "node:module";
import { run } from "./files.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const here = join(root, "wasm/everywhere");

// quiet are settings without which tools ask the network for news.
export const quiet = {
  npm_config_update_notifier: "false",
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_loglevel: "error",
};

// prepare returns where things are: the folder, the package in it, and the folder of each group of tools.
export async function prepare({ long }) {
  const kept = process.env.HOPSEAL_EVERYWHERE;
  const scratch = kept ?? mkdtempSync(join(tmpdir(), "hopseal-everywhere-"));
  const tarball = await pack(scratch);
  const groups = long ? ["short", "long"] : ["short"];
  for (const group of groups) await install(join(scratch, group), join(here, group), tarball);
  const require = createRequire(join(scratch, "short/package.json"));
  return {
    root,
    here,
    scratch,
    tarball,
    packed: join(scratch, "short/node_modules/hopseal"),
    load: async (name) => import(pathToFileURL(require.resolve(name))),
    remove: () => kept || rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }),
  };
}

// pack builds the package and packs it as it would be published.
async function pack(scratch) {
  const built = join(scratch, "built");
  mkdirSync(built, { recursive: true });
  await run("go", ["run", "./wasm/build", "-o", built], { cwd: root });
  const out = await run("npm", ["pack", "--silent", "--pack-destination", scratch], { cwd: built, env: quiet });
  return join(scratch, out.trim().split("\n").at(-1));
}

// install installs a group of tools as their lock file says, and the package beside them.
async function install(folder, group, tarball) {
  mkdirSync(folder, { recursive: true });
  const lock = readFileSync(join(group, "package-lock.json"), "utf8");
  const stamp = join(folder, "node_modules/.installed");
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== lock) {
    for (const name of ["package.json", "package-lock.json"]) cpSync(join(group, name), join(folder, name));
    await run("npm", ["ci", "--ignore-scripts"], { cwd: folder, env: quiet });
    writeFileSync(stamp, lock);
  }
  const target = join(folder, "node_modules/hopseal");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", target]); // what npm does with a tarball
}
