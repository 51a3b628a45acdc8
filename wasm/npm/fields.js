// The fields of requests and responses. wasm/internal/core/fields.go describes them.
import { encoder, tagOf } from "./args.js";

export const decoder = globalThis.TextDecoder && new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }); // text comes back as it went in
export const lengthSize = 4;

// encode turns a value that args.js has checked into a field: text, bytes, a number of 4 bytes, a
// bigint or a Date of 8, an array of numbers of 4 each.
export function encode(value) {
  if (ArrayBuffer.isView(value)) return value; // jsdom has a TextEncoder of another realm
  if (typeof value === "string") return encoder.encode(value);
  if (value instanceof Date) return fixed(8, (view) => view.setBigInt64(0, BigInt(value.getTime()), true));
  if (typeof value === "bigint") return fixed(8, (view) => view.setBigUint64(0, value, true));
  const numbers = [value].flat();
  if (!numbers.every(Number.isInteger)) throw new TypeError(`no field: ${tagOf(value)}`);
  return fixed(4 * numbers.length, (view) => numbers.forEach((n, i) => view.setUint32(4 * i, n, true)));
}

function fixed(size, fill) {
  const bytes = new Uint8Array(size);
  fill(new DataView(bytes.buffer));
  return bytes;
}

export function write(request, fields) {
  const view = new DataView(request.buffer, request.byteOffset, request.length);
  let at = 0;
  for (const field of fields) {
    view.setUint32(at, field.length, true);
    request.set(field, at + lengthSize);
    at += lengthSize + field.length;
  }
}

// A Response is read field by field, in the order that the operation documents.
export class Response {
  #bytes;
  #view;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get more() {
    return this.#at < this.#bytes.length;
  }

  // bytes returns a copy with a buffer of its own.
  bytes() {
    const [start, end] = this.#next();
    return this.#bytes.slice(start, end);
  }

  text() {
    const [start, end] = this.#next();
    return decoder.decode(this.#bytes.subarray(start, end));
  }

  hex() {
    const [start, end] = this.#next();
    return toHex(this.#bytes.subarray(start, end));
  }

  number() {
    return this.#view.getUint32(this.#next()[0], true);
  }

  bigint() {
    return this.#view.getBigUint64(this.#next()[0], true);
  }

  // inner reads the next field as fields. It shares their memory.
  inner() {
    const [start, end] = this.#next();
    return new Response(this.#bytes.subarray(start, end));
  }

  // rest returns a copy of all that is left.
  rest() {
    return this.#bytes.slice(this.#at);
  }

  date() {
    return new Date(Number(this.#view.getBigInt64(this.#next()[0], true)));
  }

  texts() {
    const all = [];
    while (this.more) all.push(this.text());
    return all;
  }

  // wipe clears what the response holds, for one that held a secret.
  wipe() {
    this.#bytes.fill(0);
  }

  #next() {
    const start = this.#at + lengthSize;
    this.#at = start + this.#view.getUint32(this.#at, true);
    return [start, this.#at];
  }
}

function toHex(bytes) {
  let text = "";
  for (const b of bytes) text += b.toString(16).padStart(2, "0");
  return text;
}
