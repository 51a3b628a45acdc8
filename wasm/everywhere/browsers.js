// One suite of tests in Chromium, Firefox and WebKit: the package, packed, in a page that a careful server serves.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browsers } from "./lib/browsers.js";
import { startServices } from "./lib/services.js";
import { serve } from "./lib/serve.js";

// testBrowser runs the suite in a browser, as subtests of t.
export async function testBrowser(t, { name, packed, load, long, root }) {
  const core = readFileSync(join(packed, "core.wasm"));
  const answer = (type, body) => (request, response) => response.writeHead(200, { "Content-Type": type }).end(body);
  const cut = (request, response) => {
    response.writeHead(200, { "Content-Type": "application/wasm", "Content-Length": core.length });
    response.write(core.subarray(0, 100_000), () => response.destroy());
  };
  const site = await serve({
    "/": join(root, "wasm/everywhere/suite"),
    "/hopseal/": packed,
    "/html.wasm": answer("text/html", "<!doctype html><title>not what you wanted</title>"),
    "/plain.wasm": answer("text/plain", core),
    "/cut.wasm": cut,
  });
  t.after(site.close);
  const services = await startServices(root, site.url);
  t.after(services.stop);
  const url = `${site.url}/?${new URLSearchParams({ services: services.url, identity: services.identity })}`;
  const browser = await browsers[name](load);
  t.after(browser.close);
  t.diagnostic(browser.version);
  const page = await browser.open(url);
  const ready = () => page.run("while (!window.suite) await new Promise((done) => setTimeout(done, 20)); return suite");
  const suite = await ready();
  for (const test of [...suite.short, ...(long ? suite.long : [])]) {
    await t.test(test, async (t) => {
      if (test.startsWith("after a reload")) await page.reload().then(ready);
      const said = await page.run(`return suite.run(${JSON.stringify(test)})`);
      if (said) t.diagnostic(said);
    });
  }
}
