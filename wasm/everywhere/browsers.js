// One suite of tests in Chromium, Firefox and WebKit: the package, packed, in a page that a careful server serves.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { browsers } from "./lib/browsers.js";
import { policy, serve } from "./lib/serve.js";
import { startServices } from "./lib/services.js";

// serveSuite serves the suite, and what its pages connect to.
export async function serveSuite({ packed, root }) {
  let services;
  const site = await serve({
    ...paths(packed, join(root, "wasm/everywhere/suite"), join(root, "docs/vectors/envelope")),
    "/services.json": (request, response) =>
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(services)),
  });
  const { port } = new URL(site.url);
  const { url, identity, stop } = await startServices(root, site.url, `http://localhost:${port}`);
  services = { services: url, identity };
  return { url: `${site.url}/`, close: () => (stop(), site.close()) };
}

// testBrowser runs the suite in a browser, as subtests of t.
export async function testBrowser(t, { name, packed, load, long, root }) {
  const { url, close } = await serveSuite({ packed, root });
  t.after(close);
  const browser = await browsers[name](load);
  t.after(browser.close);
  t.diagnostic(browser.version);
  const page = await browser.open(url);
  const tests = () =>
    page.run("while (!window.suite?.ready) await new Promise((done) => setTimeout(done, 20)); return suite.tests()");
  for (const { name: test, steps, short } of await tests()) {
    if (!short && !long && name !== "chromium") continue;
    await t.test(test, async (t) => {
      for (let step = 0; step < steps; step++) {
        if (step > 0) await page.reload().then(tests);
        const said = await page.run(`return suite.run(${JSON.stringify(test)}, ${step})`);
        if (said) t.diagnostic(said);
      }
    });
  }
}

// paths are what the server serves: the suite, the package, and what broken deployments do.
function paths(packed, suite, vectors) {
  const core = readFileSync(join(packed, "core.wasm"));
  const answer = (type, body, headers) => (request, response) =>
    response.writeHead(200, { "Content-Type": type, ...headers }).end(body);
  const strict = { "Content-Security-Policy": policy.replace(" 'wasm-unsafe-eval'", "") };
  return {
    "/": suite,
    "/hopseal/": packed,
    "/strict/": answer("text/html", readFileSync(join(suite, "index.html")), strict),
    "/vectors.json": (request, response) => answer("application/json", all(vectors))(request, response),
    "/html.wasm": answer("text/html", "<!doctype html><title>not what you wanted</title>"),
    "/plain.wasm": answer("text/plain", core),
    "/cut.wasm"(request, response) {
      response.writeHead(200, { "Content-Type": "application/wasm", "Content-Length": core.length });
      response.write(core.subarray(0, 100_000), () => response.destroy());
    },
  };
}

// all makes one object of a folder of JSON.
function all(folder) {
  return JSON.stringify(
    Object.fromEntries(readdirSync(folder).map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8"))])),
  );
}
