// From whatever names or holds core.wasm to a compiled module, with an error that
// says what was found where it is not one.
import { badArgument, HopsealError, wrap } from "./errors.js";

export async function loadModule(source) {
  source = await source;
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return compile(source, "the given bytes");
  if (typeof Response !== "undefined" && source instanceof Response) return fromResponse(source);
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw badArgument("init takes a URL, a Response, bytes or a WebAssembly.Module");
  }
  const url = resolve(source);
  return url.protocol === "file:" ? fromFile(url) : fromResponse(await get(url));
}

function resolve(source) {
  try {
    return new URL(source, globalThis.document?.baseURI ?? import.meta.url);
  } catch (cause) {
    throw new HopsealError("bad-argument", `init: not a URL: ${JSON.stringify(String(source))}`, { cause });
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
  const type = response.headers.get("Content-Type") ?? "";
  if (type.toLowerCase() === "application/wasm" && WebAssembly.compileStreaming) {
    try {
      return await WebAssembly.compileStreaming(response);
    } catch (cause) {
      throw wrap("core-compile", `${from} does not compile: ${cause.message}`, cause);
    }
  }
  let bytes;
  try {
    bytes = await response.arrayBuffer();
  } catch (cause) {
    throw wrap("core-fetch", `${from} broke off`, cause);
  }
  return compile(bytes, from);
}

async function compile(source, from) {
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
  if (!startsWith(bytes, [0x00, 0x61, 0x73, 0x6d])) {
    throw new HopsealError("core-not-wasm", `${from} is not WebAssembly but ${describe(bytes)}`);
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch (cause) {
    throw wrap("core-compile", `${from} does not compile: ${cause.message}`, cause);
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
