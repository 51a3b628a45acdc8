import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { ReplayGuard } from "../index.js";

export const encoder = new TextEncoder();
export const decoder = new TextDecoder();

export const coreURL = new URL("../core.wasm", import.meta.url);
export const coreBytes = () => readFile(coreURL);

// anyTime gives a guard that has nothing to refuse, for keys of any origin: what
// `bytes()` gives where nothing was opened.
export const anyTime = () => ReplayGuard.parse(Uint8Array.of(0x95, 3, 0xc4, 0, 0xce, 0, 4, 0x93, 0xe0, 0, 0x90));

// rejects checks the code and returns the error for more.
export async function rejects(promise, code) {
  let error;
  await assert.rejects(promise, (e) => ((error = e), true));
  assert.equal(error.name, "HopsealError", String(error?.stack));
  assert.equal(error.code, code, error.message);
  assert.equal(typeof error.hint, "string");
  assert.equal(typeof error.retryable, "boolean");
  return error;
}

let count = 0;

// freshPackage returns modules with a core of their own, not started: a query makes
// Node load a file again. Only core.js has state.
export async function freshCore() {
  return import(`../core.js?fresh=${++count}`);
}

// captureInstance has instantiate remember what it makes while run runs, so that a
// test can reach into the core's memory.
export async function captureInstance(run) {
  const original = WebAssembly.instantiate;
  let instance;
  WebAssembly.instantiate = async (...args) => (instance = await original(...args));
  try {
    await run();
  } finally {
    WebAssembly.instantiate = original;
  }
  return instance;
}
