// One project, as a web developer has it: a folder of files beside the installed tools and the package.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { run, start } from "./files.js";
import { quiet } from "./prepare.js";
import { serve } from "./serve.js";

// What every project has: a page whose script says hello, and tells what came of it in the title.
const common = {
  "main.js": `import { hello } from "./hello.js";
hello().then((text) => (document.title = "said " + text), (error) => (document.title = [error.code, error.message, error.hint].join(" | ")));
`,
};

export class Project {
  // group is the folder of tools in which the project lies.
  constructor(group, name, { guide, browser }, files = {}) {
    this.folder = join(group, name);
    this.browser = browser;
    rmSync(this.folder, { recursive: true, force: true });
    this.env = { ...quiet, PATH: join(group, "node_modules/.bin") + delimiter + process.env.PATH };
    this.write({ ...common, ...guide("The first message").files, ...guide("A session").files, ...files });
  }

  write(files) {
    for (const [name, text] of Object.entries(files)) {
      const file = join(this.folder, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  // run runs a program to its end, and start a server until what it writes matches.
  run(program, args, more = {}) {
    return run(program, args, { cwd: this.folder, ...more, env: { ...this.env, ...more.env } });
  }

  start(program, args, pattern, more = {}) {
    return start(program, args, pattern, { cwd: this.folder, ...more, env: { ...this.env, ...more.env } });
  }

  async output(program, args, more) {
    return (await this.run(program, args, more)).trim();
  }

  // shell runs lines of the guide, which finds the package in the project itself.
  async shell(lines) {
    const link = join(this.folder, "node_modules/hopseal");
    if (!existsSync(link)) {
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync("../../node_modules/hopseal", link);
    }
    for (const line of lines) await this.run("sh", ["-ec", line]);
  }

  // serves starts a Next server, whose client page, route handler and server component all have to say hello.
  async serves(program, args, env) {
    const server = await this.start(program, args, /http:\/\/127\.0\.0\.1:\d+/, {
      env: { NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production", ...env },
    });
    try {
      const [url] = server.found;
      assert.equal(await (await fetch(`${url}/api`)).text(), "said hello");
      assert.match(await (await fetch(`${url}/server`)).text(), /<p>said hello<\/p>/);
      await this.saysHello(url);
    } catch (error) {
      throw new Error(server.output(), { cause: error });
    } finally {
      server.stop();
    }
  }

  async saysHello(at, options) {
    assert.equal(await this.says(at, options), "said hello");
  }

  // saysWhatToDo is for a page that lacks core.wasm.
  async saysWhatToDo(at) {
    assert.match(
      await this.says(at),
      /^core-fetch \| .*404.* \| .*node_modules\/hopseal\/core\.wasm beside the script, or pass its address/,
    );
  }

  // says opens a built folder, or a URL, in Chromium and returns what the page has said in its title.
  async says(at, options) {
    if (!at.startsWith("http")) {
      const site = await serve({ "/": join(this.folder, at) }, options);
      return this.says(site.url).finally(site.close);
    }
    const page = await (await this.browser()).open(at);
    try {
      const title = `while (!/^said|\\|/.test(document.title)) {
        if (performance.now() > 15_000) throw new Error("the page says nothing: " + document.title + document.body.innerText.slice(0, 1000));
        await new Promise((done) => setTimeout(done, 20));
      }
      return document.title;`;
      for (let tries = 0; ; tries++) {
        try {
          return await page.run(title);
        } catch (error) {
          if (tries === 5 || !/context|navigat/i.test(error.message))
            throw new Error(page.problems.join("\n"), { cause: error }); // a development server reloads its page
          await new Promise((done) => setTimeout(done, 500));
        }
      }
    } finally {
      await page.close();
    }
  }
}
