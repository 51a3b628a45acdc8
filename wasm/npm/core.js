// The running core: starts it, calls it, and keeps handles of what lives in it.
//
// A call is synchronous: a request is written into the core's staging buffer, an
// exported function runs, the response is copied out, and both are wiped. The
// layout is described in wasm/internal/core/fields.go.
import { encoder, tagOf, urlOf, wanted } from "./args.js";
import { Turns } from "./async.js";
import { badArgument, detailsOf, HopsealError, wrap } from "./errors.js";
import { decoder, encode, lengthSize, Response, write } from "./fields.js";
import { base, loadModule } from "./load.js";
import { op } from "./ops.js";
import { buildId, loadGo } from "./runtime.js";

let current = null; // the core in use
let starting = null; // promise of init()
let startedFrom = null; // what init() was given, where that was a URL

// Of a classic script, which bundlers make where they are told to: the address is known only while it is read.
const script = globalThis.document?.currentScript?.src;

let known = null; // the address of core.wasm, if the package's entrance knows it

export function coreIsAt(address) {
  known = address;
}

export function init(source) {
  const from = addressOf(source);
  if (starting && source !== undefined && from && startedFrom && from !== startedFrom) {
    return Promise.reject(badArgument(`init was called before, with ${startedFrom}: a page has one core`));
  }
  if (!starting) startedFrom = from;
  starting ??= start(source).catch((error) => {
    starting = null;
    throw error;
  });
  return starting;
}

// addressOf returns the URL of a source without what may be secret in it, null where it has none.
function addressOf(source) {
  try {
    const url = source === undefined ? beside() : urlOf(source, "", base());
    return `${url.protocol}//${url.host}${url.pathname}`;
  } catch {
    return null; // start() says what it is
  }
}

async function start(source) {
  if (!encoder || !decoder) {
    throw new HopsealError("core-start", "there is no TextEncoder and TextDecoder here: Jest's jsdom needs the setup file of docs/browser.md");
  }
  const module = await loadModule(source === undefined ? beside() : source);
  checkBuild(module);
  const core = new Core();
  const version = await core.run(module);
  current = core;
  return Object.freeze({ version, buildId, webcrypto: Boolean(globalThis.crypto?.subtle) });
}

// beside returns where core.wasm is when nobody says so. Bundlers look for this very form of new URL.
function beside() {
  if (known) return new URL(known);
  try {
    return new URL("./core.wasm", import.meta.url);
  } catch (cause) {
    if (script) return new URL("core.wasm", script);
    const hint = 'Pass it: `import core from "hopseal/core.wasm"` and init(core) at the edge, init("/core.wasm") in a page. See docs/browser.md.';
    throw new HopsealError("core-fetch", "the bundler has left no address of core.wasm", { cause, details: { hint } });
  }
}

function checkBuild(module) {
  const [section] = WebAssembly.Module.customSections(module, "hopseal.build");
  const found = section ? decoder.decode(section) : "unknown";
  if (found !== buildId) {
    throw new HopsealError("core-mismatch", `core.wasm is of build ${found}, runtime.js of build ${buildId}`);
  }
}

const maxSize = 2 ** 31 - 1; // of a request, so that its size is a positive i32

class Core {
  #go;
  #exports;
  #dead = null;
  turns = new Turns(this);
  #mourners = new Set();

  // run starts the core and returns its version.
  async run(module) {
    const Go = loadGo((error) => this.#die(error));
    const go = (this.#go = new Go());
    go.exit = (code) => this.#die(new Error(`the Go program ended with code ${code}`));
    try {
      const instance = await WebAssembly.instantiate(module, {
        ...go.importObject,
        hopseal: { wake: () => this.turns.woken() },
      });
      this.#exports = instance.exports;
      go.run(instance).catch((error) => this.#die(error)); // settles when the program ends
      return this.call(op.info, []).text();
    } catch (error) {
      if (error.name === "CompileError") throw wrap("core-compile", `core.wasm does not compile: ${error.message}`, error); // a policy, in WebKit
      const cause = error.code === "core-dead" ? error.cause : error;
      throw new HopsealError("core-start", `the core did not start: ${cause.message}`, { cause });
    }
  }

  // call runs one operation. It throws what the operation failed with, and
  // "core-dead" from the moment on when something inside broke.
  call(operation, values) {
    if (this.#dead) throw this.#deadError();
    const size = this.#request(values);
    const result = this.#run(() => this.#exports.call(operation, size));
    const response = this.#response(size, result);
    if (this.#dead) throw this.#deadError();
    if (result >= 0) return response;
    throw this.asError(response);
  }

  // resume has goroutines go on until all of them wait.
  resume() {
    this.#run(() => this.#go._resume());
  }

  // run is for what runs inside. What it throws is a trap: nothing in there can be relied on.
  #run(inside) {
    try {
      return inside();
    } catch (error) {
      throw this.#die(error);
    }
  }

  // request writes the fields into the staging buffer and returns how many bytes they take. What
  // cannot be written, since its buffer was transferred or memory is short, does no harm inside.
  #request(values) {
    const fields = copyable(() => values.map(encode));
    const size = fields.reduce((sum, f) => sum + lengthSize + f.length, 0);
    const at = size > maxSize ? 0 : this.#run(() => this.#exports.buffer(size)) >>> 0;
    if (at === 0) throw new HopsealError("too-large", "more than the core takes in one call");
    const request = this.#view(at, size);
    copyable(() => write(request, fields));
    return size;
  }

  // response copies what stands behind the request. Plaintexts and keys do not stay in the buffer.
  #response(size, result) {
    const whole = this.#view(this.#run(() => this.#exports.buffer(0)) >>> 0, size + Math.abs(result));
    try {
      return new Response(whole.slice(size));
    } catch (cause) {
      throw wrap("too-large", "memory is short for what the core answers", cause);
    } finally {
      whole.fill(0);
    }
  }

  // view is made for every use: the memory moves when it grows. It fails if the core gave an address
  // outside of its memory.
  #view(at, size) {
    return this.#run(() => new Uint8Array(this.#exports.mem.buffer, at, size));
  }

  asError(fields) {
    const [code, message, reason] = [fields.text(), fields.text(), fields.text()];
    if (code === "core-dead") return this.#die(new Error(message));
    return new HopsealError(code, message, { reason, ...detailsOf(code, fields.texts()) });
  }

  // die marks this core as unusable, once, and lets init() start another.
  #die(cause) {
    if (this.#dead) return this.#deadError();
    this.#dead = { cause };
    if (current === this) {
      current = null;
      starting = null;
    }
    lost = this;
    const error = this.#deadError();
    this.turns.die(error);
    for (const mourn of this.#mourners) mourn(error);
    this.#mourners.clear();
    return error;
  }

  #deadError() {
    return new HopsealError("core-dead", "the core failed inside and was stopped", this.#dead);
  }

  get dead() {
    return this.#dead !== null;
  }

  deadError() {
    return this.#deadError();
  }

  // onDeath has mourn called should the core die, and returns how to cancel that.
  onDeath(mourn) {
    this.#mourners.add(mourn);
    return () => this.#mourners.delete(mourn);
  }
}

let lost = null; // the last core that died

// theCore returns the core in use, or throws what is wrong.
export function theCore() {
  if (current) return current;
  throw lost ? lost.deadError() : new HopsealError("not-initialised", "the core has not been started");
}

export function call(operation, ...values) {
  return theCore().call(operation, values);
}

// copyable is for what fails only where bytes cannot be copied.
function copyable(copy) {
  try {
    return copy();
  } catch (cause) {
    throw wrap("bad-argument", "an argument cannot be copied into the core", cause);
  }
}

// Handles. A JavaScript object stands for a Go object by a number; when it is
// closed or collected, the core lets the Go object go.
const held = new WeakMap(); // object -> { Class, core, handle }, core null once it is closed
const forgotten = new FinalizationRegistry(({ core, handle }) => free(core, handle));

// free lets the core's object of a handle go.
export function free(core, handle) {
  if (core.dead) return;
  try {
    core.call(op.release, [handle]);
  } catch {
    // The core died of it, which the next call reports.
  }
}

export function hold(object, handle, core = theCore()) {
  held.set(object, { Class: object.constructor, core, handle });
  forgotten.register(object, { core, handle }, object);
}

export function release(object) {
  const entry = held.get(object);
  if (!entry?.core) return;
  held.set(object, { ...entry, core: null });
  forgotten.unregister(object);
  free(entry.core, entry.handle);
}

// handleOf returns the handle of an object of the class, for the core in use.
export function handleOf(object, Class, name) {
  const entry = held.get(object);
  const kind = Class.prototype[Symbol.toStringTag] ?? name;
  if (entry?.Class !== Class) throw notOf(Class, kind, object, name);
  if (!entry.core) throw new HopsealError("closed", `the ${kind} was closed`);
  if (entry.core !== theCore()) throw new HopsealError("closed", `the ${kind} was lost with the core that held it`);
  return entry.handle;
}

// notOf tells apart what looks like an object of the class.
function notOf(Class, kind, object, name) {
  const tag = typeof object === "object" && object !== null ? tagOf(object) : "";
  const one = kind === "Identity" ? "an Identity" : `a ${kind}`;
  if (tag !== kind) {
    const error = wanted(name, one, object);
    return tag === "Identity" && kind === "PublicIdentity" ? badArgument(`${error.message}: pass its .public`) : error;
  }
  if (isOf(object, Class)) return badArgument(`${name} is a Proxy or an imitation of ${one}: pass the original (in Vue: markRaw, toRaw)`);
  return badArgument(`${name} is ${one} of another copy of this package: a page loads it once`);
}

function isOf(object, Class) {
  try {
    return object instanceof Class;
  } catch {
    return true; // a Proxy
  }
}

// isHeld reports whether the object has a handle of the core in use.
export function isHeld(object) {
  return held.get(object)?.core === theCore();
}

// isLost reports whether the object's handle is one of a core that has been replaced.
export function isLost(object) {
  const core = held.get(object)?.core;
  return core !== undefined && core !== null && core !== theCore();
}
