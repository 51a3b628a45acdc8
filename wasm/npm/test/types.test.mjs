// index.d.ts is written by hand: this holds it against what there is.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as hopseal from "../index.js";
import * as cleartext from "../insecure-cleartext.js";
import * as inNode from "../node.js";

const file = (name) => readFile(new URL(`../${name}`, import.meta.url), "utf8");
const read = async (name) => (name === "index.d.ts" ? (await file(name)) + (await file("session.d.ts")) + (await file("account.d.ts")) : file(name));

for (const [name, module] of [["index", hopseal], ["insecure-cleartext", cleartext]]) {
  test(`${name}.d.ts declares what ${name}.js exports`, async () => {
    const types = await read(`${name}.d.ts`);
    const declared = [...types.matchAll(/^export (?:class|function) (\w+)/gm)].map((m) => m[1]);
    assert.deepEqual(declared.sort(), Object.keys(module).sort());
  });
}

test("the entrance in Node exports the same", () => {
  assert.deepEqual(Object.keys(inNode), Object.keys(hopseal));
});

test("every method that the types declare is there, and no other", async () => {
  const types = await read("index.d.ts");
  for (const [, name, body] of types.matchAll(/^export class (\w+)[^{]*\{\n(.*?)^\}/gms)) {
    const methods = (isStatic) =>
      [...body.matchAll(/^  (static )?(\w+)\(/gm)].filter((m) => Boolean(m[1]) === isStatic && m[2] !== "constructor").map((m) => m[2]);
    const has = (object) =>
      Object.entries(Object.getOwnPropertyDescriptors(object))
        .filter(([key, d]) => typeof d.value === "function" && key !== "constructor")
        .map(([key]) => key);
    assert.deepEqual(has(hopseal[name].prototype).sort(), methods(false).sort(), name);
    assert.deepEqual(has(hopseal[name]).sort(), methods(true).sort(), `static of ${name}`);
  }
});

// The samples of the declarations run as they stand, with what a reader would have at hand.
test("every sample of index.d.ts runs", async () => {
  const { Identity, init, openAccount, openStore, ReplayGuard, seal } = hopseal;
  await init();
  const samples = [...((await file("index.d.ts")) + (await file("account.d.ts"))).matchAll(/^ *\* ```js\n(.*?)^ *\* ```$/gms)].map((m) => m[1].replace(/^ *\* ?/gm, ""));
  assert.ok(samples.length >= 8);
  for (const sample of samples) {
    const [me, other] = [await Identity.generate("me"), await Identity.generate("bob")];
    const given = {
      ...hopseal,
      init: () => init(),
      openAccount: (options) => openAccount({ ...options, memory: true }),
      openStore: (options) => openStore({ ...options, memory: true }),
      console: { log() {} },
      me,
      bob: other.public,
      bytes: other.public.bytes,
      replay: await ReplayGuard.create({ identity: me }),
      sealed: await seal("hello", { from: other, to: [me.public], context: "chat/1" }),
    };
    if (sample.includes("error.retryable")) given.open = () => Promise.reject(new hopseal.HopsealError("core-fetch", "x"));
    const names = Object.keys(given).filter((name) => !new RegExp(`const (\\{[^}]*)?\\b${name}\\b`).test(sample));
    const run = new (async () => {}).constructor(...names, `"use strict";\n${sample}`);
    await run(...names.map((name) => given[name]));
  }
});

test("every code has a row in docs/browser.md, to which the declarations link", async () => {
  const types = await read("index.d.ts");
  const guide = await readFile(new URL("../../../docs/browser.md", import.meta.url), "utf8");
  const anchors = [...guide.matchAll(/<a id="([a-z-]+)"><\/a>`([a-z-]+)`/g)].map(([, id, code]) => (assert.equal(id, code), id));
  for (const [, code] of types.slice(0, types.indexOf("/** Why a message did not open")).matchAll(/^  \| "([a-z-]+)"/gm)) {
    assert.ok(anchors.includes(code), code);
  }
  const links = [...types.matchAll(/docs\/browser\.md#([a-z-]+)/g)].map((m) => m[1]);
  assert.ok(links.length > 3);
  for (const link of links) assert.ok(link === "errors" || anchors.includes(link), link);
});

test("every code has a hint in errors.js, and every code thrown is declared", async () => {
  const types = await read("index.d.ts");
  const codes = [...types.slice(0, types.indexOf("/** Why a message did not open")).matchAll(/^  \| "([a-z-]+)"/gm)].map((m) => m[1]);
  const hinted = [...(await read("errors.js")).matchAll(/^  "?([a-z-]+)"?:/gm)].map((m) => m[1]);
  assert.deepEqual(hinted.sort(), [...codes].sort());
  for (const name of ["core", "load", "keys", "envelope", "store", "relay", "async", "link", "connect", "session", "account", "record", "database", "locks"]) {
    for (const [, code] of (await read(`${name}.js`)).matchAll(/(?:HopsealError|wrap)\(\s*"([a-z-]+)"/g)) {
      assert.ok(codes.includes(code), `${name}.js throws ${code}`);
    }
  }
});
