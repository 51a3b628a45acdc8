import { addedGlobals, fails, hopseal, otherPage, same, services, test } from "./page.mjs";

const { Identity, init } = hopseal;

test.short("init starts the core, and adds no global", async () => {
  const since = performance.now();
  const info = await init();
  const milliseconds = Math.round(performance.now() - since);
  same([info.buildId.length, info.webcrypto], [32, true]);
  same(addedGlobals(), []);
  return `${milliseconds} ms`;
});

test("what a broken deployment serves is named", async () => {
  const { hopseal: there, close } = await otherPage();
  await fails(there.Identity.generate("ann"), "not-initialised", "not been started");
  const starts = (source, code, text) => fails(there.init(source), code, text);
  const missing = await starts("/nothing.wasm", "core-fetch", "/nothing.wasm answered 404 Not Found");
  same([missing.retryable, missing.hint.includes("node_modules/hopseal/core.wasm")], [true, true]);
  await starts("/html.wasm", "core-not-wasm", "an HTML page");
  await starts(
    "http://127.0.0.1:1/core.wasm?token=x",
    "core-fetch",
    "http://127.0.0.1:1/core.wasm could not be fetched",
  );
  await starts(new Uint8Array([1, 2]), "core-not-wasm", "2 bytes that start with 01 02");
  same((await starts("/cut.wasm", "core-fetch")).retryable, true);
  same((await there.init("/plain.wasm")).buildId.length, 32); // under a wrong type it starts all the same
  close();
});

test("a policy without wasm is named", async () => {
  const { hopseal: there, close } = await otherPage("/strict/");
  same((await fails(there.init(), "core-compile")).hint.includes("wasm-unsafe-eval"), true);
  close();
});

test("a dead core is replaced", async () => {
  const { window: other, hopseal: there, close } = await otherPage();
  const { WebAssembly } = other;
  const { instantiate } = WebAssembly;
  let instance;
  WebAssembly.instantiate = async (...args) => (instance = await instantiate(...args));
  await there.init();
  WebAssembly.instantiate = instantiate;
  const ann = await there.Identity.generate("ann");
  const relay = await there.RelayClient.connect(`${services}/relay`);
  new Uint8Array(instance.exports.mem.buffer).fill(255);
  await fails(there.Identity.generate("bob"), "core-dead", "failed inside");
  await fails(ann.renew(), "core-dead", "failed inside");
  same((await relay.closed).error.code, "core-dead");
  await there.init();
  same((await there.Identity.generate("bob")).name, "bob");
  await fails(ann.renew(), "closed", "lost with the core");
  close();
  await Identity.generate("another page lives on");
});
