// From whatever names or holds core.wasm to a compiled module, with an error that
// says what was found where it is not one.
import { bytesOf, tagOf, urlOf, wanted } from "./args.js";
import { badArgument, HopsealError, wrap } from "./errors.js";

export async function loadModule(given) {
  if (typeof WebAssembly === "undefined") {
    throw new HopsealError("core-compile", "there is no WebAssembly here: Lockdown Mode of iOS turns it off", {
      details: { hint: "Exclude this page from Lockdown Mode, or use another browser." },
    });
  }
  const source = await fetched(given);
  const kind = tagOf(source);
  if (kind === "WebAssembly.Module") return source;
  if (kind === "Response") return fromResponse(source);
  if (ArrayBuffer.isView(source) || kind.endsWith("ArrayBuffer")) return compile(bytesOf(source, "init's source"), "the given bytes");
  if (kind !== "URL" && typeof source !== "string") {
    throw wanted("init's source", "a URL, a Response, bytes or a WebAssembly.Module", source);
  }
  const url = urlOf(source, "init's source", base());
  return url.protocol === "file:" ? fromFile(url) : fromResponse(await get(url));
}

// base is what a relative URL is relative to: the page, or this module where there is none.
export const base = () => globalThis.document?.baseURI ?? import.meta.url;

// fetched waits for init(fetch(url)).
async function fetched(source) {
  try {
    return await source;
  } catch (cause) {
    throw wrap("core-fetch", `what was given to init was not fetched: ${cause?.message ?? cause}`, cause);
  }
}

async function get(url) {
  try {
    return await fetch(url);
  } catch (cause) {
    throw wrap("core-fetch", `${place(url)} could not be fetched`, cause);
  }
}

// fromFile serves Node, whose fetch does not read files. getBuiltinModule keeps
// the name of a Node module from bundlers, which would look for it.
async function fromFile(url) {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs/promises");
  if (!fs) throw new HopsealError("core-fetch", `${place(url)}: a page cannot read files: serve it over http`);
  let bytes;
  try {
    bytes = await fs.readFile(url);
  } catch (cause) {
    throw wrap("core-fetch", `${place(url)} could not be read`, cause);
  }
  return compile(bytes, place(url));
}

// fromResponse compiles while bytes arrive. A browser does so for the right MIME
// type only; whatever comes under another one is read first and looked at.
async function fromResponse(response) {
  const from = place(response.url);
  if (!response.ok) {
    throw new HopsealError("core-fetch", `${from} answered ${response.status} ${response.statusText}`.trim());
  }
  if (response.bodyUsed) throw badArgument("the Response given to init was read before: pass a new one, or a clone()");
  const type = response.headers.get("Content-Type") ?? "";
  if (type.toLowerCase() === "application/wasm" && WebAssembly.compileStreaming) {
    try {
      return await WebAssembly.compileStreaming(response);
    } catch (cause) {
      throw compilers.test(cause?.name) ? notCompiled(from, cause) : brokeOff(from, cause);
    }
  }
  let bytes;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw brokeOff(from, cause);
  }
  return compile(bytes, from);
}

// What a compiler throws. A download that breaks under it is a TypeError in Chromium and Node, an
// AbortError in Firefox.
const compilers = /^(Compile|Eval|Range|Link)Error$/;

const brokeOff = (from, cause) => wrap("core-fetch", `${from} broke off while it was loaded`, cause);

function notCompiled(from, cause) {
  const { message } = cause;
  const details = /content.security.policy|csp/i.test(message)
    ? undefined
    : { hint: "The file is damaged or cut short, or the browser is too old: load it again, and compare it with the package's." };
  return new HopsealError("core-compile", `${from} does not compile: ${message}`, { cause, details });
}

async function compile(bytes, from) {
  if (!startsWith(bytes, [0x00, 0x61, 0x73, 0x6d])) {
    throw new HopsealError("core-not-wasm", `${from} is not WebAssembly but ${describe(bytes)}`);
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw notCompiled(from, cause);
  }
}

function describe(bytes) {
  if (bytes.length === 0) return "empty";
  if (startsWith(bytes, [0x1f, 0x8b])) return "gzip data, sent without Content-Encoding";
  const text = new TextDecoder().decode(bytes.subarray(0, 256)).trimStart().toLowerCase();
  if (text.startsWith("<!doctype") || text.startsWith("<html")) {
    return "an HTML page, such as a server sends in place of what it does not find";
  }
  if (text.startsWith("version https://git-lfs")) return "a Git LFS pointer";
  const start = [...bytes.subarray(0, 8)].map((b) => b.toString(16).padStart(2, "0"));
  return `${bytes.length} bytes that start with ${start.join(" ")}`;
}

function startsWith(bytes, magic) {
  return magic.every((b, i) => bytes[i] === b);
}

// place is a URL for an error: without query and user part, which may hold
// credentials.
function place(url) {
  if (!url) return "the response";
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
