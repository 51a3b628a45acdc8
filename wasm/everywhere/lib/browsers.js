// Drives Chromium, Firefox and WebKit the same way:
//
//	const browser = await browsers.firefox(require);
//	const page = await browser.open(url);
//	await page.run("return document.title");
//	await browser.close();
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWebKit } from "./webkit.js";

export const stepTime = 60_000; // ms that one step may take, on a machine that does much else

export const browsers = {
  chromium: (load) =>
    puppet(load, {
      browser: "chrome",
      executablePath: process.env.HOPSEAL_CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu"],
    }),
  firefox: (load) => puppet(load, { browser: "firefox", executablePath: "/usr/bin/firefox-esr" }),
  webkit: () => startWebKit(),
};

// puppet starts a browser that puppeteer drives: Chromium over its DevTools protocol, Firefox over WebDriver BiDi.
async function puppet(load, options) {
  const { launch } = await load("puppeteer-core");
  const userDataDir = mkdtempSync(join(tmpdir(), "hopseal-browser-"));
  const started = await launch({
    ...options,
    userDataDir,
    headless: true,
    timeout: stepTime,
    protocolTimeout: 3 * stepTime,
  });
  return {
    version: await started.version(),
    async open(url) {
      const tab = await started.newPage();
      tab.setDefaultTimeout(stepTime);
      const problems = []; // what the page has thrown, or written to the console as an error
      tab.on("pageerror", (error) => problems.push(String(error)));
      tab.on("console", (line) => line.type() === "error" && problems.push(line.text()));
      await tab.goto(url);
      return {
        problems,
        run: async (body) => take(await tab.evaluate(wrapped(body))),
        reload: () => tab.reload(),
        close: () => tab.close(),
      };
    },
    async close() {
      await started.close();
      rmSync(userDataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

// wrapped makes an expression of a function's body whose value is a Promise of what it returns, or of its failure.
// Both cross as JSON: what a driver makes of undefined and of errors differs.
export function wrapped(body) {
  return `(async () => { ${body} })().then(
    (value) => JSON.stringify({ value }),
    (error) => JSON.stringify({ error: { name: error?.name, code: error?.code, message: String(error?.message ?? error), stack: error?.stack } }))`;
}

// take returns the value that crossed, or throws the failure.
export function take(text) {
  const { value, error } = JSON.parse(text);
  if (!error) return value;
  throw Object.assign(
    new Error(`in the page: ${error.name}${error.code ? ` [${error.code}]` : ""}: ${error.message}\n${error.stack}`),
    { code: error.code },
  );
}
