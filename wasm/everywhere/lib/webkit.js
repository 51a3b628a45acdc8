// WebKit: WebKitGTK's MiniBrowser under Xvfb, over the few commands of WebDriver that the tests need.
// https://www.w3.org/TR/webdriver2/
import { freePort, glob, kill, launch } from "./files.js";
import { stepTime, take, wrapped } from "./browsers.js";

export async function startWebKit() {
  const screen = await startScreen();
  const driver = await startDriver(screen.display).catch((error) => (screen.stop(), Promise.reject(error)));
  const stop = () => (driver.stop(), screen.stop());
  try {
    return await session(driver.url, stop);
  } catch (error) {
    stop();
    throw error;
  }
}

// startScreen starts an X server on a display that is free.
async function startScreen() {
  const child = launch("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  const number = await new Promise((resolve, reject) => {
    child.stdio[3].once("data", (text) => resolve(String(text).trim()));
    child.once("error", reject);
    child.once("exit", () => reject(new Error("Xvfb ended")));
  });
  return { display: `:${number}`, stop: () => kill(child) };
}

async function startDriver(display) {
  const port = await freePort();
  const env = {
    ...process.env,
    DISPLAY: display,
    GDK_BACKEND: "x11",
    LIBGL_ALWAYS_SOFTWARE: "1",
    WEBKIT_DISABLE_COMPOSITING_MODE: "1",
    NO_AT_BRIDGE: "1",
  };
  const child = launch("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], {
    stdio: ["ignore", "ignore", "inherit"],
    env,
  });
  const url = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + stepTime; ;) {
    try {
      await (await fetch(`${url}/status`)).json();
      return { url, stop: () => kill(child) };
    } catch (error) {
      if (Date.now() > until || child.exitCode !== null)
        throw new Error("WebKitWebDriver does not answer", { cause: error });
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

async function session(driver, stop) {
  const [binary] = glob("/usr/lib/*/webkit2gtk-*/MiniBrowser");
  if (!binary) throw new Error("no MiniBrowser found: install Debian's webkit2gtk-driver");
  const wanted = {
    "webkitgtk:browserOptions": { binary, args: ["--automation"] },
    timeouts: { script: 3 * stepTime, pageLoad: stepTime },
  };
  const made = await command("POST", `${driver}/session`, { capabilities: { alwaysMatch: wanted } });
  const at = `${driver}/session/${made.sessionId}`;
  const { browserName, browserVersion } = made.capabilities;
  return {
    version: `${browserName} ${browserVersion}`,
    // open navigates the one window that there is.
    async open(url) {
      await command("POST", `${at}/url`, { url });
      return {
        run: async (body) =>
          take(
            await command("POST", `${at}/execute/async`, { script: `${wrapped(body)}.then(arguments[0])`, args: [] }),
          ),
        reload: () => command("POST", `${at}/refresh`, {}),
        close: () => command("POST", `${at}/url`, { url: "about:blank" }),
      };
    },
    async close() {
      await command("DELETE", at).catch(() => {});
      stop();
    },
  };
}

async function command(method, url, body) {
  const response = await fetch(url, {
    method,
    body: body && JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`WebDriver: ${value.error}: ${value.message}`);
  return value;
}
