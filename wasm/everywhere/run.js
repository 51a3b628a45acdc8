// Tests the package where web developers use it, as `npm pack` packs it:
//
//	node wasm/everywhere/run.js                 what each change is checked with, in two minutes
//	node wasm/everywhere/run.js --long          the whole
//	node wasm/everywhere/run.js vite firefox    some of it
//	node wasm/everywhere/run.js --serve         prints an address, for a browser that nothing drives: Safari, a phone's
//
// It needs Go, Node, npm and Debian's chromium, firefox-esr, webkit2gtk-driver and xvfb. Everything is built in a
// folder of its own, which is removed at the end; HOPSEAL_EVERYWHERE names one that stays, for faster runs.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { serveSuite, testBrowser } from "./browsers.js";
import { browsers } from "./lib/browsers.js";
import { readGuide } from "./lib/guide.js";
import { prepare } from "./lib/prepare.js";
import { Project } from "./lib/project.js";
import { startServices } from "./lib/services.js";
import * as tools from "./tools.js";

const words = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const long = process.argv.includes("--long") || process.env.HOPSEAL_LONG_TESTS === "1";
const wanted = (name) => words.length === 0 || words.some((word) => name.toLowerCase().startsWith(word.toLowerCase()));

const place = await prepare({ long });
process.on("exit", place.remove);

if (process.argv.includes("--serve")) {
  const { url } = await serveSuite(place);
  console.log(`Open ${url}#run`);
} else {
  testAll();
}

function testAll() {
  for (const name of Object.keys(browsers).filter(wanted)) test(name, (t) => testBrowser(t, { ...place, name, long }));
  test("tools", testTools);
}

async function testTools(t) {
  const guide = readGuide(join(place.root, "docs/browser.md"));
  let chromium; // started by the first that needs it
  const browser = () => (chromium ??= browsers.chromium(place.load));
  t.after(async () => (await chromium)?.close());
  const services = await startServices(place.root);
  t.after(services.stop);
  const echo = [`${services.url}/echo`, services.identity];
  for (const [groupName, group] of Object.entries({ short: tools.short, long: long ? tools.long : {} })) {
    const folder = join(place.scratch, groupName);
    for (const [name, check] of Object.entries(group).filter(([name]) => wanted(name))) {
      const project = (files) =>
        new Project(folder, name.toLowerCase().replace(/\W+/g, "-"), { guide, browser }, files);
      await t.test(name, () => check({ ...place, group: folder, guide, project, echo }));
    }
  }
  if (long && words.length === 0)
    await t.test("every block of the guide was run", () => assert.deepEqual(guide.unused(), []));
}
