import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { captureInstance, coreBytes, coreURL, freshCore, rejects } from "./helpers.mjs";

void Response; // Node defines a symbol of its own with the first use of it
const globalsBefore = Reflect.ownKeys(globalThis);
const { init, Identity, PublicIdentity, KnownPeers, ReplayGuard, seal, open } = await import("../index.js");

test("import runs nothing, and everything asks for init first", async () => {
  const error = await rejects(Identity.generate("ann"), "not-initialised");
  assert.match(error.hint, /init\(\)/);
});

test("init finds the core beside the module and is memoised", async () => {
  const first = init();
  assert.equal(init(), first);
  assert.equal(init(coreURL), first);
  assert.equal(init(coreURL.href), first);
  assert.equal(init(new Response("not looked at")), first);
  const error = await rejects(init("https://example.com/other.wasm?token=secret"), "bad-argument");
  assert.match(error.message, /init was called before, with file:.*core\.wasm: a page has one core/);
  const info = await first;
  assert.match(info.buildId, /^[0-9a-f]{32}$/);
  assert.equal(info.webcrypto, true);
  assert.match(info.version, /^\d+\.\d+\.\d+$/);
});

test("no global is added", async () => {
  await init();
  await Identity.generate("ann");
  assert.deepEqual(Reflect.ownKeys(globalThis).filter((k) => !globalsBefore.includes(k)), []);
  assert.equal(globalThis.Go, undefined);
  assert.equal(globalThis.fs, undefined);
});

test("init takes bytes, a module, a Response, a promise of one, and a URL", async () => {
  const bytes = await coreBytes();
  const response = (type) => new Response(bytes, { headers: type ? { "Content-Type": type } : {} });
  const sources = {
    buffer: bytes,
    "array buffer": new Uint8Array(bytes).buffer,
    module: await WebAssembly.compile(bytes),
    response: response("application/wasm"),
    "response with another type": response("application/octet-stream"),
    "promise of a response": Promise.resolve(response()),
    url: coreURL,
    text: coreURL.href,
  };
  for (const [name, source] of Object.entries(sources)) {
    const core = await freshCore();
    assert.ok(await core.init(source), name);
  }
});

test("what is not the core is described, and the next init starts afresh", async () => {
  const core = await freshCore();
  const html = "<!DOCTYPE html><html></html>";
  const answer = (body, type = "text/html", status = 200) => new Response(body, { status, headers: { "Content-Type": type } });
  const bytes = await coreBytes();
  const transferred = (given) => {
    const copy = new Uint8Array(given);
    structuredClone(copy.buffer, { transfer: [copy.buffer] });
    return copy;
  };
  const read = new Response(bytes);
  await read.arrayBuffer();
  const broken = (type) =>
    answer(new ReadableStream({ start: (c) => (c.enqueue(new Uint8Array(bytes.subarray(0, 1000))), c.error(new TypeError("terminated"))) }), type);
  const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00";
  for (const [source, code, text] of [
    [answer(html), "core-not-wasm", /HTML page/],
    [answer("", "application/octet-stream"), "core-not-wasm", /empty/],
    [answer(new Uint8Array([0x1f, 0x8b, 8]), ""), "core-not-wasm", /gzip/],
    [answer(lfs, "text/plain"), "core-not-wasm", /Git LFS pointer/],
    [answer(new Uint8Array([1, 2, 3]), ""), "core-not-wasm", /3 bytes that start with 01 02 03/],
    [answer(html, "application/wasm"), "core-compile", /magic/],
    [answer("gone", "text/plain", 404), "core-fetch", /404/],
    [new Uint8Array([0, 0x61, 0x73, 0x6d, 9, 9]), "core-compile", /does not compile/],
    [new URL("nothing.wasm", import.meta.url), "core-fetch", /nothing\.wasm could not be read/],
    ["http://127.0.0.1:1/core.wasm?secret=1", "core-fetch", /127\.0\.0\.1/],
    ["http://[", "bad-argument", /not a URL/],
    [42, "bad-argument", /URL, a Response, bytes or a WebAssembly.Module, got 42/],
    [null, "bad-argument", /got null/],
    [{}, "bad-argument", /got an object/],
    [() => {}, "bad-argument", /got a function/],
    [new Blob([]), "bad-argument", /got a Blob/],
    [transferred(bytes), "bad-argument", /an ArrayBuffer that was transferred/],
    [new Uint8Array(new SharedArrayBuffer(8)), "bad-argument", /SharedArrayBuffer/],
    [read, "bad-argument", /read before/],
    [broken("application/wasm"), "core-fetch", /broke off/],
    [broken("application/octet-stream"), "core-fetch", /broke off/],
    [new Response(bytes.subarray(0, 1000), { headers: { "Content-Type": "application/wasm" } }), "core-compile", /does not compile/],
  ]) {
    const error = await rejects(core.init(source), code);
    assert.match(error.message, text);
    assert.doesNotMatch(error.message, /secret/);
    assert.doesNotMatch(error.hint, /Content-Security-Policy/, "a page without one is not told of it");
  }
  const offline = await rejects(core.init(Promise.reject(new TypeError("Failed to fetch"))), "core-fetch");
  assert.match(offline.message, /not fetched: Failed to fetch/);
  assert.ok(await core.init());
});

test("bytes and modules of another realm start the core", async () => {
  const bytes = await coreBytes();
  const foreign = runInNewContext(`new Uint8Array(${bytes.length})`);
  foreign.set(bytes);
  for (const source of [foreign, foreign.buffer, new DataView(foreign.buffer), new URL(coreURL)]) {
    assert.ok(await (await freshCore()).init(source));
  }
});

test("a policy that forbids to compile is named, and nothing else is taken for one", async () => {
  const { compile } = WebAssembly;
  const fails = async (name, message) => {
    WebAssembly.compile = async () => {
      throw Object.assign(new Error(message), { name });
    };
    try {
      return await rejects((await freshCore()).init(await coreBytes()), "core-compile");
    } finally {
      WebAssembly.compile = compile;
    }
  };
  // As Chromium, Firefox and WebKit say it.
  for (const [name, message] of [
    ["CompileError", "WebAssembly.compile(): Refused to compile or instantiate WebAssembly module because 'unsafe-eval' is not an allowed source of script in the following Content Security Policy directive"],
    ["CompileError", "call to WebAssembly.compile() blocked by CSP"],
    ["EvalError", "Refused to create a WebAssembly object because 'unsafe-eval' or 'wasm-unsafe-eval' is not an allowed source of script in the following Content Security Policy directive"],
  ]) {
    assert.match((await fails(name, message)).hint, /'wasm-unsafe-eval'/);
  }
  assert.match((await fails("CompileError", "expected magic word")).hint, /damaged or cut short/);
});

test("without WebAssembly init says so", async () => {
  const kept = globalThis.WebAssembly;
  const bytes = await coreBytes();
  globalThis.WebAssembly = undefined;
  try {
    const error = await rejects((await freshCore()).init(bytes), "core-compile");
    assert.match(error.message, /no WebAssembly/);
  } finally {
    globalThis.WebAssembly = kept;
  }
});

test("a download that breaks is retried, and is not blamed on a policy", async (t) => {
  const bytes = await coreBytes();
  let whole = false;
  const server = createServer((request, response) => {
    response.writeHead(200, { "Content-Type": "application/wasm", "Content-Length": bytes.length });
    if (whole) return response.end(bytes);
    response.write(bytes.subarray(0, 100_000), () => response.destroy());
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close());
  const core = await freshCore();
  const url = `http://127.0.0.1:${server.address().port}/core.wasm`;
  const error = await rejects(core.init(url), "core-fetch");
  assert.equal(error.retryable, true);
  assert.doesNotMatch(error.hint, /Policy/);
  whole = true;
  assert.ok(await core.init(url));
  server.closeAllConnections();
});

test("init over http: streaming, wrong MIME, 404", async (t) => {
  const bytes = await coreBytes();
  const server = createServer((request, response) => {
    const found = request.url !== "/404";
    const type = request.url === "/right" ? "application/wasm" : "text/html";
    response.writeHead(found ? 200 : 404, { "Content-Type": type });
    response.end(found ? bytes : "<html>not found");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const at = (path) => `http://127.0.0.1:${server.address().port}/${path}`;
  for (const path of ["right", "wrong"]) assert.ok(await (await freshCore()).init(at(path)), path);
  const error = await rejects((await freshCore()).init(at("404")), "core-fetch");
  assert.match(error.message, /\/404 answered 404 Not Found/);
  assert.equal(error.retryable, true);
});

test("a core of another build is refused before it runs", async () => {
  const bytes = new Uint8Array(await coreBytes());
  bytes[bytes.length - 1] ^= 1; // the last digit of the build id
  const error = await rejects((await freshCore()).init(bytes), "core-mismatch");
  assert.match(error.hint, /one build together/);
  const foreign = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  await rejects((await freshCore()).init(foreign), "core-mismatch");
});

test("a core that does not start says so", async () => {
  const core = await freshCore();
  const { buildId } = await core.init();
  const name = new TextEncoder().encode("hopseal.build");
  const id = new TextEncoder().encode(buildId);
  const empty = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, 1 + name.length + id.length, name.length, ...name, ...id];
  await rejects((await freshCore()).init(new Uint8Array(empty)), "core-start");
});

// What happens when the core breaks is shown by breaking it: its memory is
// overwritten from outside, as no program should.
test("a core that breaks is dead, everything says so, and init starts a fresh one", async (t) => {
  t.mock.method(console, "log", () => {}); // the Go runtime's last words
  t.mock.method(console, "warn", () => {});
  const core = await freshCore();
  const instance = await captureInstance(() => core.init());
  const guard = { id: core.call(40, 0, 0).number() };
  core.hold(guard, guard.id);
  let mourned = 0;
  core.theCore().onDeath((error) => {
    assert.equal(error.code, "core-dead");
    mourned++;
  });

  new Uint8Array(instance.exports.mem.buffer).fill(0xff);
  const dies = async (...args) => core.call(...args);
  const error = await rejects(dies(10, "ann"), "core-dead");
  assert.ok(error.cause);
  assert.equal(mourned, 1);
  await rejects(dies(1), "core-dead");
  core.release(guard); // says nothing

  const again = await core.init();
  assert.ok(again.buildId);
  assert.equal(core.call(1).text(), again.version);
});

test("after a fresh start public identities go on, the rest says that it is lost", async (t) => {
  t.mock.method(console, "log", () => {});
  t.mock.method(console, "warn", () => {});
  // Break the core that this process has used so far.
  const { theCore } = await import("../core.js");
  const old = await Identity.generate("old");
  const peers = await KnownPeers.create();
  const friend = await PublicIdentity.parse(old.public.bytes);
  const broken = theCore();
  await assert.rejects(async () => broken.call({ valueOf: () => { throw new Error("trap"); } }, []), { code: "core-dead" });

  await rejects(old.renew(), "core-dead");
  await init();
  // Handles of the new core have the numbers of the old one's: none may be mistaken.
  const others = await Promise.all(Array.from({ length: 10 }, () => Identity.generate("other")));
  await rejects(old.renew(), "closed");
  for (const other of others) await other.renew();
  assert.ok(others.every((other) => other.public.serial > 1n));
  await rejects(peers.bytes(), "closed");
  const me = await Identity.generate("me");
  const sealed = await seal(new Uint8Array(3), { from: me, to: [friend] });
  assert.ok(sealed.length > 0);
  const replay = await ReplayGuard.create({ identity: me });
  const error = await rejects(open(sealed, { identity: me, from: friend, replay }), "open-failed");
  assert.equal(error.reason, "reflected");
});
