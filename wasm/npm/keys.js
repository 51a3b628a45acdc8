import { bytesOf, choiceOf, optionsOf, textOf } from "./args.js";
import { call, handleOf, hold, isHeld, release } from "./core.js";
import { badArgument, HopsealError, shown } from "./errors.js";
import { op } from "./ops.js";

const redacted = "[redacted]";
const inspectInNode = Symbol.for("nodejs.util.inspect.custom");

// Only this package makes these objects: a constructor that is called without the
// token refuses.
const token = Symbol("hopseal");

function guard(given, name) {
  if (given !== token) throw badArgument(`a ${name} is not made with new`);
}

export class Identity {
  #public;

  constructor(given, handle, publicIdentity) {
    guard(given, "Identity");
    hold(this, handle);
    this.#public = publicIdentity;
  }

  static async generate(name) {
    return readIdentity(call(op.identityGenerate, textOf(name, "name")));
  }

  get name() {
    return this.#public.name;
  }

  get fingerprint() {
    return this.#public.fingerprint;
  }

  get public() {
    return this.#public;
  }

  async renew() {
    this.#public = readPublic(call(op.identityRenew, handleOf(this, Identity, "this")));
  }

  get [Symbol.toStringTag]() {
    return "Identity";
  }

  close() {
    release(this);
  }

  toString() {
    return `Identity(${shown(this.name)} ${this.fingerprint} ${redacted})`;
  }

  toJSON() {
    return redacted;
  }

  [inspectInNode]() {
    return this.toString();
  }
}

export function readIdentity(response) {
  const handle = response.number();
  return new Identity(token, handle, readPublic(response));
}

const none = 0; // handle of nothing
let isPublic; // reports whether an object is a PublicIdentity, and no imitation

export class PublicIdentity {
  #bytes;
  #issued;
  #expires;

  constructor(given, response) {
    guard(given, "PublicIdentity");
    const handle = response.number();
    if (handle !== none) hold(this, handle);
    this.#bytes = response.bytes();
    const own = { enumerable: true };
    Object.defineProperties(this, {
      name: { ...own, value: response.text() },
      fingerprint: { ...own, value: response.text() },
      serial: { ...own, value: response.bigint() },
    });
    this.#issued = response.date();
    this.#expires = response.date();
    Object.defineProperty(this, "revoked", { ...own, value: response.number() === 1 });
  }

  static {
    isPublic = (value) => typeof value === "object" && value !== null && #bytes in value;
  }

  static async parse(encoded) {
    return readPublic(call(op.publicParse, typeof encoded === "string" ? decode(encoded) : bytesOf(encoded, "encoded")));
  }

  encode() {
    return asText(this.#bytes);
  }

  get bytes() {
    return this.#bytes.slice();
  }

  get issued() {
    return new Date(this.#issued);
  }

  get expires() {
    return new Date(this.#expires);
  }

  get [Symbol.toStringTag]() {
    return "PublicIdentity";
  }

  toString() {
    return `PublicIdentity(${shown(this.name)} ${this.fingerprint})`;
  }

  toJSON() {
    return this.toString();
  }

  [inspectInNode]() {
    return this.toString();
  }
}

// As text: the prefix and base64url. Text that a person pastes may have been folded, and may be a link
// whose fragment it is.
const prefix = "hopseal1_";
const digits = { "+": "-", "/": "_", "=": "" };

const asText = (bytes) => prefix + btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (c) => digits[c]);

function decode(text) {
  const bare = text.slice(text.lastIndexOf("#") + 1).replace(/\s+/g, "");
  if (!bare.startsWith(prefix)) throw new HopsealError("invalid", `not a public identity as text: that begins with ${prefix}`);
  try {
    const base64 = bare.slice(prefix.length).replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    if (asText(bytes) === bare) return bytes;
  } catch {
    // It is none.
  }
  throw new HopsealError("invalid", "this public identity was cut short or changed");
}

export function readPublic(response) {
  return new PublicIdentity(token, response);
}

// publicHandle gives a public identity, which holds all that it is, a handle in this core: there may
// be none, since a session brought it, or one of a core before.
export function publicHandle(identity, name) {
  if (isPublic(identity) && !isHeld(identity)) {
    hold(identity, call(op.publicParse, identity.bytes).number());
  }
  return handleOf(identity, PublicIdentity, name);
}

export class SharedKeyset {
  constructor(given, handle) {
    guard(given, "SharedKeyset");
    hold(this, handle);
  }

  static async generate() {
    return readShared(call(op.sharedGenerate));
  }

  get [Symbol.toStringTag]() {
    return "SharedKeyset";
  }

  close() {
    release(this);
  }

  toString() {
    return `SharedKeyset(${redacted})`;
  }

  toJSON() {
    return redacted;
  }

  [inspectInNode]() {
    return this.toString();
  }
}

export function readShared(response) {
  return new SharedKeyset(token, response.number());
}

export function readPeers(response) {
  return new KnownPeers(token, response.number());
}

const roles = { server: 1, client: 2, member: 3 };
const expectedNames = ["address", "room", "role", "fingerprint"];

export const expectedOf = (expected) => optionsOf(expected, expectedNames, "expected");

// expectedFields are four: address, room, role, fingerprint.
function expectedFields(expected) {
  const { address = "", room = "", role, fingerprint = "" } = expectedOf(expected);
  return [
    textOf(address, "expected.address"),
    textOf(room, "expected.room"),
    role === undefined ? 0 : roles[choiceOf(role, "expected.role", Object.keys(roles))],
    textOf(fingerprint, "expected.fingerprint"),
  ];
}

export class KnownPeers {
  constructor(given, handle) {
    guard(given, "KnownPeers");
    hold(this, handle);
  }

  static async create() {
    return new KnownPeers(token, call(op.peersCreate).number());
  }

  static async parse(bytes) {
    return new KnownPeers(token, call(op.peersParse, bytesOf(bytes, "bytes")).number());
  }

  async verify(expected, peer) {
    call(op.peersVerify, peersOf(this), ...expectedFields(expected), publicHandle(peer, "peer"));
  }

  async admit(expected, peer) {
    call(op.peersAdmit, peersOf(this), ...expectedFields(expected), publicHandle(peer, "peer"));
  }

  async forget(expected, fingerprint) {
    call(op.peersForget, peersOf(this), ...expectedFields(expected), textOf(fingerprint, "fingerprint"));
  }

  async revoke(revocation) {
    call(op.peersRevoke, peersOf(this), publicHandle(revocation, "revocation"));
  }

  async admitted(expected) {
    return call(op.peersAdmitted, peersOf(this), ...expectedFields(expected)).texts();
  }

  async bytes() {
    return call(op.peersBytes, peersOf(this)).bytes();
  }

  get [Symbol.toStringTag]() {
    return "KnownPeers";
  }

  close() {
    release(this);
  }
}

const peersOf = (peers) => handleOf(peers, KnownPeers, "this");
