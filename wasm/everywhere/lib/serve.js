// Serves folders on loopback, as a careful web server does.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

export const policy =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws: http://127.0.0.1:1; img-src data:";

// serve serves each folder under its path, such as { "/hopseal/": "/tmp/hopseal" }. Further paths can name
// functions that answer.
export async function serve(paths, { csp = policy } = {}) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://127.0.0.1");
    response.setHeader("Content-Security-Policy", csp);
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("Cache-Control", "no-store");
    const path = Object.keys(paths)
      .sort((a, b) => b.length - a.length)
      .find((p) => pathname.startsWith(p));
    if (typeof paths[path] === "function") return paths[path](request, response);
    send(response, path && fileOf(paths[path], pathname.slice(path.length)));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = () => new Promise((done) => (server.close(done), server.closeAllConnections()));
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

function fileOf(folder, name) {
  const file = join(folder, normalize(`/${decodeURIComponent(name)}`));
  const found = statSync(file, { throwIfNoEntry: false });
  return found?.isDirectory() ? fileOf(file, "index.html") : found && file;
}

function send(response, file) {
  if (!file)
    return response.writeHead(404, { "Content-Type": "text/html" }).end("<!doctype html><title>Not found</title>");
  response.writeHead(200, { "Content-Type": types[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
}
