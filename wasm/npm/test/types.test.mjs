// index.d.ts is written by hand: this holds it against what there is.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as hopseal from "../index.js";
import * as cleartext from "../insecure-cleartext.js";
import * as inNode from "../node.js";

const file = (name) => readFile(new URL(`../${name}`, import.meta.url), "utf8");
const read = async (name) => (name === "index.d.ts" ? (await file(name)) + (await file("session.d.ts")) : file(name));

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

test("every code has a hint in errors.js, and every code thrown is declared", async () => {
  const types = await read("index.d.ts");
  const codes = [...types.slice(0, types.indexOf("/** Why a message did not open")).matchAll(/^  \| "([a-z-]+)"/gm)].map((m) => m[1]);
  const hinted = [...(await read("errors.js")).matchAll(/^  "?([a-z-]+)"?:/gm)].map((m) => m[1]);
  assert.deepEqual(hinted.sort(), [...codes].sort());
  for (const name of ["core", "load", "keys", "envelope", "store", "relay", "async", "link", "connect", "session"]) {
    for (const [, code] of (await read(`${name}.js`)).matchAll(/(?:HopsealError|wrap)\(\s*"([a-z-]+)"/g)) {
      assert.ok(codes.includes(code), `${name}.js throws ${code}`);
    }
  }
});
