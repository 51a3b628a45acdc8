// Small helpers for files and processes.
import { spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

// glob lists the paths that a pattern with stars matches; Node 20 has none of its own.
export function glob(pattern) {
  let found = ["/"];
  for (const part of pattern.split("/").filter(Boolean)) {
    const wanted = new RegExp(`^${part.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
    const inside = (folder) => (statSync(folder).isDirectory() ? readdirSync(folder) : []);
    found = found.flatMap((folder) =>
      inside(folder)
        .filter((name) => wanted.test(name))
        .map((name) => join(folder, name)),
    );
  }
  return found;
}

const running = new Set(); // ends with this process, however that ends
process.on("exit", () => running.forEach(kill));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

// launch starts a program in a group of its own, so that all that it starts ends with it.
export function launch(program, args, options) {
  const child = spawn(program, args, { ...options, detached: true });
  running.add(child);
  return child.once("close", () => running.delete(child));
}

// run runs a program to its end and returns what it wrote. It throws, with all of that, where the program fails or
// takes too long; then the program's whole group ends.
export async function run(program, args, { cwd, env, timeout = 240_000 } = {}) {
  const child = launch(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => kill(child), timeout);
  const parts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (parts[name] += text));
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve)).finally(() =>
    clearTimeout(timer),
  );
  if (code === 0) return parts.stdout;
  throw Object.assign(
    new Error(
      `${program} ${args.join(" ")}: ${code ?? "ended by a signal"}\n${parts.stdout.slice(-6000)}\n${parts.stderr.slice(-6000)}`,
    ),
    parts,
  );
}

// start starts a server and returns the first match of the pattern in what it writes, and how to stop it.
export async function start(program, args, pattern, { cwd, env, timeout = 120_000, stdin = "ignore" } = {}) {
  const child = launch(program, args, { cwd, env: { ...process.env, ...env }, stdio: [stdin, "pipe", "pipe"] });
  let text = "";
  const found = await new Promise((resolve, reject) => {
    const fails = (what) => (
      kill(child),
      reject(new Error(`${program} ${args.join(" ")} ${what}\n${text.slice(-6000)}`))
    );
    const timer = setTimeout(fails, timeout, "does not get ready");
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (more) => {
        text += more;
        const match = pattern.exec(text.replace(/\x1b\[[0-9;]*m/g, ""));
        if (match) (clearTimeout(timer), resolve(match));
      });
    }
    child.once("error", reject).once("close", (code) => (clearTimeout(timer), fails(`ended with ${code}`)));
  });
  return { found, output: () => text, stop: () => kill(child) };
}

// kill ends a process and all that it started.
export function kill(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
