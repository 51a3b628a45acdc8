// Arguments. Everything that a caller passes is read once, checked and copied here, before the core
// is touched: what the caller changes later, a getter that answers twice and an object that lies
// about itself reach nothing inside. Values of other realms (an iframe, jsdom, node:vm) are what
// they are: nothing here asks instanceof.
import { badArgument, HopsealError, wrap } from "./errors.js";

export const encoder = globalThis.TextEncoder && new TextEncoder(); // init() says where there is none
const maxSize = (64 << 20) + (4 << 20); // core.MaxRequest: no call takes more
const maxList = 1 << 16;

const getters = (prototype, ...names) => names.map((name) => Object.getOwnPropertyDescriptor(prototype, name).get);
const arrays = Object.getPrototypeOf(Uint8Array.prototype);
const ofArray = getters(arrays, "buffer", "byteOffset", "byteLength");
const ofView = getters(DataView.prototype, "buffer", "byteOffset", "byteLength");
const [kindOf] = getters(arrays, Symbol.toStringTag);
const [sizeOf] = getters(ArrayBuffer.prototype, "byteLength");

// succeeds reports whether an internal method takes the object: whether it is of that kind.
function succeeds(method, ...args) {
  try {
    method.call(...args);
    return true;
  } catch {
    return false;
  }
}

// bytesOf returns a copy of an ArrayBuffer or of what any view shows of one.
export function bytesOf(value, name, what = "bytes: an ArrayBuffer or a view of one") {
  const isView = ArrayBuffer.isView(value);
  const [buffer, at, size] = isView ? (kindOf.call(value) ? ofArray : ofView) : [];
  const memory = isView ? buffer.call(value) : value;
  if (!succeeds(sizeOf, memory)) {
    if (isView || tagOf(memory) === "SharedArrayBuffer") { // a page that is not isolated has no such name
      throw badArgument(`${name} is a SharedArrayBuffer${isView ? "'s view" : ""}, which may change meanwhile: pass a copy`);
    }
    throw wanted(name, what, value);
  }
  if (!succeeds(() => new Uint8Array(memory))) throw badArgument(`${name}: got ${isView ? "a view of " : ""}an ArrayBuffer that was transferred`);
  // A view out of bounds has size 0, as an empty one; a DataView throws.
  if (isView && !(kindOf.call(value) ? succeeds(arrays.keys, value) : succeeds(size, value))) {
    throw badArgument(`${name}: got a view of an ArrayBuffer that was made smaller than the view`);
  }
  const length = isView ? size.call(value) : sizeOf.call(memory);
  if (length > maxSize) throw tooLarge(name, length);
  return copyOf(new Uint8Array(memory, isView ? at.call(value) : 0, length), name);
}

// dataOf is bytesOf where text is taken too, as UTF-8.
export function dataOf(value, name) {
  if (typeof value !== "string") return bytesOf(value, name, "text or bytes: a string, an ArrayBuffer or a view of one");
  if (value.length > maxSize) throw tooLarge(name, value.length);
  return encoder.encode(textOf(value, name));
}

function copyOf(bytes, name) {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw wrap("too-large", `memory is short for a copy of ${name}`, cause);
  }
}

const tooLarge = (name, length) => new HopsealError("too-large", `${name} has ${length} bytes, more than 64 MiB`);

// textOf refuses what UTF-8 cannot carry: half of a surrogate pair, which would become another character.
export function textOf(value, name) {
  if (typeof value !== "string") throw wanted(name, "a string", value);
  if (!(value.isWellFormed?.() ?? !/\p{Cs}/u.test(value))) {
    throw badArgument(`${name} holds half of a character (a lone surrogate): was the text cut in the middle of one?`);
  }
  return value;
}

// urlOf takes text, which may be relative to the page, and a URL.
export function urlOf(value, name, base = globalThis.document?.baseURI) {
  const text = typeof value === "string" ? textOf(value, name) : tagOf(value) === "URL" ? reading(name, () => String(value)) : null;
  if (text === null) throw wanted(name, "a URL", value);
  try {
    return new URL(text, base);
  } catch {
    throw badArgument(`${name} is not a URL`); // which may hold credentials, and is in what was thrown
  }
}

// numberOf takes whole numbers.
export function numberOf(value, name, max, min = 0) {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw wanted(name, `a whole number from ${min} to ${max}`, value);
}

export function booleanOf(value, name) {
  if (typeof value === "boolean") return value;
  throw wanted(name, "true or false", value);
}

export function functionOf(value, name) {
  if (typeof value === "function") return value;
  throw wanted(name, "a function", value);
}

// choiceOf takes one of some words.
export function choiceOf(value, name, words) {
  if (words.includes(value)) return value;
  const list = words.map((word) => JSON.stringify(word)).join(", ");
  throw badArgument(`${name} must be one of ${list}${typeof value === "string" ? "" : `, got ${described(value)}`}`);
}

const { getTime } = Date.prototype;
const maxTime = 253402300799999; // the end of the year 9999

// dateOf returns a copy.
export function dateOf(value, name) {
  if (!succeeds(getTime, value)) throw wanted(name, "a Date", value);
  const time = getTime.call(value);
  if (!(time >= 0 && time <= maxTime)) throw badArgument(`${name} must be a Date from 1970 to 9999`);
  return new Date(time);
}

// signalOf takes the AbortSignal of any realm, and undefined for none.
export function signalOf(value, name = "signal") {
  if (value === undefined) return value;
  const methods = ["addEventListener", "removeEventListener"];
  const fits = () => isObject(value) && typeof value.aborted === "boolean" && methods.every((m) => typeof value[m] === "function");
  if (reading(name, fits)) return value;
  throw wanted(name, "an AbortSignal", value);
}

// listOf returns a copy of an array without holes, each element as read gives it for (value, name).
export function listOf(value, name, read, max = maxList) {
  return reading(name, () => {
    if (!Array.isArray(value)) throw wanted(name, "an array", value);
    const { length } = value;
    if (length > max) throw badArgument(`${name} has ${length} elements, ${max} at most`);
    return Array.from({ length }, (_, i) => {
      if (!Object.hasOwn(value, i)) throw badArgument(`${name}[${i}] is a hole: an array element that was never set`);
      return read(value[i], `${name}[${i}]`);
    });
  });
}

// optionsOf returns a plain object with those of the known options that were given: own properties,
// each read once. Those of a prototype do not count, whoever wrote them there.
export function optionsOf(options, known, name = "options") {
  const given = Object.create(null);
  if (options === undefined) return given;
  return reading(name, () => {
    if (!isObject(options) || Array.isArray(options) || isThenable(options) || ArrayBuffer.isView(options)) {
      throw wanted(name, "an object", options);
    }
    for (const key of Reflect.ownKeys(options)) {
      if (known.includes(key)) given[key] = options[key];
      else if (typeof key === "string") throw noOption(key, known, name);
    }
    return given;
  });
}

// signalIn is for options that are a signal alone.
export const signalIn = (options) => signalOf(optionsOf(options, ["signal"]).signal);

// reading is for what runs the caller's code: getters, and Proxies that may throw anything.
export function reading(name, read) {
  try {
    return read();
  } catch (cause) {
    throw wrap("bad-argument", `${name} cannot be read`, cause);
  }
}

function noOption(key, known, name) {
  const near = known.find((word) => distance(word.toLowerCase(), key.toLowerCase()) <= (word.length > 4 ? 2 : 1));
  const help = near ? `did you mean ${near}?` : `there are ${known.join(", ")}`;
  return badArgument(`${name} has no ${JSON.stringify(key.slice(0, 40))}: ${help}`);
}

// distance counts the letters to add, drop or change.
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] !== b[j - 1]));
    }
  }
  return row[b.length];
}

const isObject = (value) => typeof value === "object" && value !== null;

function isThenable(value) {
  return (isObject(value) || typeof value === "function") && typeof value.then === "function";
}

// tagOf names what an object is, in any realm; class names do not survive a minifier.
export function tagOf(value) {
  try {
    return Object.prototype.toString.call(value).slice(8, -1);
  } catch {
    return "Object"; // a revoked Proxy
  }
}

// wanted is the error for a value of another kind.
export function wanted(name, what, value) {
  return badArgument(`${name} must be ${what}, got ${described(value)}`);
}

// described says what came in place of something else. Text may be secret and is not repeated.
export function described(value) {
  if (value === null || value === undefined || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value !== "object") return typeof value === "function" ? "a function" : `a ${typeof value}`;
  let kind = tagOf(value);
  try {
    if (isThenable(value)) return "a Promise: await it";
    const { name } = value.constructor;
    if (kind === "Object" && /^[A-Z]\w{1,40}$/.test(name)) kind = name;
  } catch {
    // Without a prototype, or of one that throws.
  }
  if (kind === "Object") return "an object";
  return `${/^[AEIOU]/.test(kind) ? "an" : "a"} ${kind === "Array" ? "array" : kind}`;
}
