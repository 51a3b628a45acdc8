// Each tool and runtime of docs/browser.md builds and runs the same first message; runtimes have a session as well.
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { freePort, glob } from "./lib/files.js";

const page = (script) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>waits</title><link rel="icon" href="data:,">${script}</html>`;
const moduleScript = page(`<script type="module" src="./main.js"></script>`);
const classicScript = page(`<script defer src="./main.js"></script>`);
const inlineToo = { csp: "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'" };

// What a runtime runs, with the address of the service and its identity.
const both = `import { hello } from "./hello.js";
import { ask } from "./session.js";
const [url, server] = process.argv.slice(2);
console.log(await ask(url, new Uint8Array(Buffer.from(server, "base64url")), await hello()));
`;

// short is what each change is checked with.
export const short = {
  async "script tag"({ project, packed }) {
    const p = project({
      "index.html": page(
        `<script type="importmap">{ "imports": { "hopseal": "./hopseal/index.js" } }</script><script type="module" src="./main.js"></script>`,
      ),
    });
    cpSync(packed, join(p.folder, "hopseal"), { recursive: true });
    await p.saysHello(".", inlineToo); // for the map
  },

  async "Content-Security-Policy"({ project, packed, guide }) {
    const policy = guide("What to serve").files["policy.html"];
    const p = project({ "index.html": page(`${policy}<script type="module" src="./main.js"></script>`) });
    p.write({
      "main.js": `import { init } from "./hopseal/index.js"; init().then(() => (document.title = "said hello"), (error) => (document.title = error.code + " | "));`,
    });
    cpSync(packed, join(p.folder, "hopseal"), { recursive: true });
    await p.saysHello(".", { csp: "img-src data:" });
    p.write({
      "index.html": page(`${policy.replace(" 'wasm-unsafe-eval'", "")}<script type="module" src="./main.js"></script>`),
    });
    assert.match(await p.says(".", { csp: "img-src data:" }), /core-compile/);
  },

  async "Node, import"({ project, echo }) {
    const p = project({ "run.mjs": both });
    assert.equal(await p.output("node", ["--no-warnings", "--experimental-websocket", "run.mjs", ...echo]), "hello");
  },

  async "Node 20 with ws"({ project, guide, echo }) {
    const p = project(guide("Node 20").files);
    assert.equal(await p.output("node", ["node20.mjs", ...echo]), "hello");
  },

  async "Node as a service"(place) {
    await serves(place, "plain.mjs", "/");
  },

  async "Node, require"({ project }) {
    const p = project({
      "run.cjs": `const { init, Identity } = require("hopseal"); init().then(() => Identity.generate("ann")).then((ann) => console.log(ann.name));`,
    });
    assert.equal(await p.output("node", ["--no-warnings", "run.cjs"]), "ann");
  },

  async Deno({ project, echo }) {
    const p = project({
      "run.mjs": `import process from "node:process"; import { Buffer } from "node:buffer"; ${both}`,
    });
    const env = { DENO_NO_UPDATE_CHECK: "1", DENO_DIR: join(p.folder, ".deno"), NO_COLOR: "1" };
    assert.equal(
      await p.output("deno", ["run", "--no-remote", "--allow-read", "--allow-net=127.0.0.1", "run.mjs", ...echo], {
        env,
      }),
      "hello",
    );
  },

  async Bun({ project, group, echo }) {
    const p = project({ "run.mjs": both });
    const [bun] = glob(join(group, "node_modules/@oven/*/bin/bun")); // what the npm package's own script would move
    assert.equal(await p.output(bun, ["run", "run.mjs", ...echo], { env: { DO_NOT_TRACK: "1" } }), "hello");
  },

  async "Vite, build"({ project }) {
    const p = project({ "index.html": moduleScript });
    await p.run("vite", ["build", "--logLevel", "error"]);
    await p.saysHello("dist");
  },

  async "Vite, development"({ project }) {
    const p = project({ "index.html": moduleScript });
    const server = await p.start(
      "vite",
      ["--force", "--host", "127.0.0.1", "--port", "0"],
      /http:\/\/127\.0\.0\.1:\d+\//,
    );
    await p.saysHello(server.found[0]).finally(server.stop);
  },

  async "esbuild, module"({ project, guide }) {
    const [build, copy] = guide("esbuild").commands;
    const p = project({ "dist/index.html": moduleScript });
    await p.shell([build]);
    await p.saysWhatToDo("dist");
    await p.shell([copy]);
    await p.saysHello("dist");
  },

  async "esbuild, classic script"({ project, guide }) {
    const [build, copy] = guide("esbuild").commands;
    const p = project({
      "deep/dist/index.html": classicScript,
      "index.html": classicScript.replace("./main.js", "deep/dist/main.js"),
    });
    await p.shell([build.replace("=esm", "=iife").replace("dist/", "deep/dist/") + " --log-level=error"]);
    await p.saysWhatToDo("deep/dist");
    await p.shell([copy.replace("dist/", "deep/dist/")]);
    await p.saysHello("."); // core.wasm is beside the script, not beside the page
  },

  async "esbuild for Node"({ project }) {
    const p = project({
      "run.js": `import { hello } from "./hello.js"; hello().then(console.log, (error) => console.log(error.code, error.hint));`,
    });
    const build = (...more) =>
      p.run("esbuild", [
        "run.js",
        "--bundle",
        "--platform=node",
        "--outfile=dist/run.cjs",
        "--log-level=error",
        ...more,
      ]);
    await build();
    assert.match(await p.output("node", ["dist/run.cjs"]), /^core-fetch Pass it: .*init\("\/core.wasm"\)/);
    await build("--external:hopseal");
    assert.equal(await p.output("node", ["--no-warnings", "dist/run.cjs"]), "hello");
  },

  async publint({ tarball, project }) {
    const out = await project().run("publint", [tarball, "--strict"]);
    assert.doesNotMatch(out, /Suggestions|Warnings|Errors/, out);
  },

  async "are the types wrong"({ tarball, project }) {
    await project().run("attw", [tarball, "--profile", "esm-only", "--no-emoji", "--no-color"]);
  },
};

// long is the rest.
export const long = {
  async "Express as a service"(place) {
    await serves(place, "express.mjs", "/echo");
  },

  async "Fastify as a service"(place) {
    await serves(place, "fastify.mjs", "/echo");
  },

  async webpack({ project }) {
    const p = project({ "src/index.js": `import "../main.js";` });
    await p.run("webpack", ["--mode", "production", "-o", "dist"]);
    p.write({ "dist/index.html": classicScript });
    await p.saysHello("dist");
  },

  async Parcel({ project }) {
    const p = project({ "index.html": moduleScript, "package.json": `{ "private": true }` });
    await p.run(
      "parcel",
      ["build", "index.html", "--no-cache", "--no-autoinstall", "--public-url", "./", "--log-level", "warn"],
      { env: { PARCEL_WORKERS: "1" } },
    );
    await p.saysHello("dist", inlineToo);
  },

  async Rollup({ project, guide }) {
    const p = project({ ...guide("Rollup").files, "dist/index.html": moduleScript });
    await p.run("rollup", ["main.js", "--dir", "dist", "--format", "es", "--plugin", "node-resolve", "--silent"]);
    await p.saysWhatToDo("dist");
    await p.run("rollup", ["-c", "--silent"]);
    await p.saysHello("dist");
  },

  "Next, Turbopack": (place) => next(place, "--turbopack"),
  "Next, webpack": (place) => next(place, "--webpack"),

  async "Next, standalone"({ project, guide }) {
    const p = project({ ...nextApp, ...guide("Next").files });
    await p.run("next", ["build", "--turbopack"], { env: nextEnv });
    const [server] = glob(join(p.folder, ".next/standalone/*/server.js"));
    cpSync(join(p.folder, ".next/static"), join(server, "../.next/static"), { recursive: true }); // as Next's guide has it
    await p.serves("node", [server], { HOSTNAME: "127.0.0.1", PORT: String(await freePort()) });
  },

  async "Vitest in Node"({ project }) {
    await project({ "hello.test.js": vitest }).run("vitest", ["run", "--environment", "node"]);
  },

  async "Vitest with jsdom"({ project }) {
    await project({ "hello.test.js": vitest }).run("vitest", ["run", "--environment", "jsdom"]);
  },

  async "Jest in Node"({ project, guide }) {
    const p = project({ "hello.test.js": jest, "package.json": `{ "private": true, "type": "module" }` });
    await p.shell(guide("Jest").commands);
  },

  async "Jest with jsdom"({ project, guide }) {
    const { files, commands } = guide("Jest");
    const p = project({ "hello.test.js": jest, "package.json": `{ "private": true, "type": "module" }` });
    p.write({ "jest.config.mjs": `export default { testEnvironment: "jsdom" };` });
    await assert.rejects(
      p.shell(commands),
      /no TextEncoder and TextDecoder here: Jest's jsdom needs the setup file of docs\/browser.md/,
    );
    p.write(files);
    await p.shell(commands);
  },

  async workerd({ project, guide, echo: [service, identity] }) {
    const p = project({
      ...guide("At the edge").files,
      "bare.js": `import { init } from "hopseal";
export default { fetch: () => init().catch((error) => new Response(error.code + " " + error.hint)) };
`,
      "run.mjs": `import { readFileSync } from "node:fs";
import { Miniflare } from "miniflare";
const [program, query] = process.argv.slice(2);
const worker = new Miniflare({ compatibilityDate: "2026-03-01", cf: false, modules: [
  { type: "ESModule", path: "worker.js", contents: readFileSync(program, "utf8") },
  { type: "CompiledWasm", path: "hopseal/core.wasm", contents: readFileSync("../node_modules/hopseal/core.wasm") },
] });
try {
  for (let i = 0; i < 2; i++) console.log(await (await worker.dispatchFetch("http://127.0.0.1/?" + query)).text());
} finally {
  await worker.dispose();
}
`,
    });
    const asWrangler = ["--bundle", "--format=esm", "--outdir=dist", "--external:*.wasm", "--log-level=error"];
    await p.run("esbuild", ["worker.js", "bare.js", ...asWrangler]);
    const query = String(new URLSearchParams({ service, identity }));
    assert.equal(await p.output("node", ["run.mjs", "dist/worker.js", query]), "hello\nhello");
    assert.match(
      await p.output("node", ["run.mjs", "dist/bare.js", ""]),
      /^core-fetch .*hopseal\/core.wasm.*init\(core\)/,
    );
  },
};

// serves starts a service of the guide, which has a page too, and asks it as a client in Node does.
async function serves({ project, guide }, program, path) {
  const p = project({
    ...guide("A service in Node").files,
    "run.mjs": `import { WebSocket } from "ws";
import { ask } from "./session.js";
for (const question of ["hello", "grüße"]) console.log(await ask(process.argv[2], process.argv[3], question, { WebSocket }));
`,
  });
  const { found, stop } = await p.start("node", [program], /(\d+) (\S{100,})\n/);
  try {
    const [, port, identity] = found;
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "a page");
    assert.equal(await p.output("node", ["run.mjs", `ws://127.0.0.1:${port}${path}`, identity]), "hello\ngrüße");
  } finally {
    stop();
  }
}

const vitest = `import { expect, test } from "vitest";
import { hello } from "./hello.js";
test("says hello", async () => expect(await hello()).toBe("hello"));
`;

const jest = `import { hello } from "./hello.js";
test("says hello", async () => expect(await hello()).toBe("hello"));
`;

const nextEnv = { NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };
const nextApp = {
  "package.json": `{ "private": true, "type": "module" }`,
  "app/layout.js": `export default ({ children }) => <html lang="en"><body>{children}</body></html>;`,
  "app/page.js": `"use client";
import { useEffect } from "react";
export default function Page() {
  useEffect(() => void import("../main.js"), []);
  return <p>a client page</p>;
}
`,
  "app/server/page.js": `import { hello } from "../../hello.js";
export const dynamic = "force-dynamic";
export default async function Page() {
  return <p>{"said " + (await hello())}</p>;
}
`,
  "app/api/route.js": `import { hello } from "../../hello.js";
export const dynamic = "force-dynamic";
export const GET = async () => new Response("said " + (await hello()));
`,
};

async function next({ project }, bundler) {
  const p = project(nextApp);
  await p.run("next", ["build", bundler], { env: nextEnv });
  await p.serves("next", ["start", "--hostname", "127.0.0.1", "--port", "0"]);
}
