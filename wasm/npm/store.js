// The page's long-term state in IndexedDB: identity, known peers and what was
// opened of late, one record a user, encrypted under an AES-256-GCM key that
// WebCrypto keeps and does not give out. A script that runs in the page can use the
// key all the same; it cannot carry it away.
//
// A Web Lock keeps a record to one tab: two that work on one identity would undo
// each other's known peers.
import { booleanOf, optionsOf, textOf } from "./args.js";
import { call, handleOf } from "./core.js";
import { ReplayGuard } from "./envelope.js";
import { badArgument, HopsealError, wrap } from "./errors.js";
import { Identity, KnownPeers, readIdentity } from "./keys.js";
import { op } from "./ops.js";

export async function openStore(options) {
  const { name = "hopseal", record, memory = false } = optionsOf(options, ["name", "record", "memory"]);
  if (!textOf(name, "name") || !textOf(record, "record")) throw badArgument("name and record must not be empty");
  return new Store(booleanOf(memory, "memory") ? new MemoryRecord() : await openRecord(name, record));
}

class Store {
  #record;
  #queue = Promise.resolve();

  constructor(record) {
    this.#record = record;
  }

  load() {
    return this.#inTurn(async (record) => {
      const bytes = await record.read();
      const content = bytes && (await parse(bytes));
      if (content && isOld(content.identity.public)) content.unsaved = await renew(content, record);
      return content;
    });
  }

  save(content) {
    return this.#inTurn(async (record) => {
      await write(content, record);
    });
  }

  async close() {
    const record = this.#record;
    this.#record = null;
    await this.#queue;
    await record?.close();
  }

  // inTurn runs one job after the other, so that what was saved last is what stays.
  #inTurn(job) {
    const record = this.#record;
    if (!record) return Promise.reject(new HopsealError("closed", "the store was closed"));
    const done = this.#queue.then(() => job(record));
    this.#queue = done.catch(() => {});
    return done;
  }
}

async function write(content, record) {
  const { identity, knownPeers, replay } = optionsOf(content, ["identity", "knownPeers", "replay", "unsaved"], "content");
  const bytes = serialise(
    handleOf(identity, Identity, "identity"),
    handleOf(knownPeers, KnownPeers, "knownPeers"),
    replay === undefined || replay === null ? null : handleOf(replay, ReplayGuard, "replay"),
  );
  try {
    await record.write(bytes);
  } finally {
    bytes.fill(0);
  }
}

const clockSkew = 5 * 60 * 1000; // ms, as in package keys

// isOld reports whether it is time for a new statement: half of the life of this one is over, or it
// is from the future, since a clock was wrong.
function isOld({ issued, expires, revoked }) {
  const now = Date.now();
  return !revoked && (now >= (issued.getTime() + expires.getTime()) / 2 || now + clockSkew < issued.getTime());
}

// renew keeps an identity alive whose page was not open for long: a statement counts for 30 days.
// If it cannot be saved, the page has it all the same and is told why, and the next load renews
// again, under a higher serial.
async function renew(content, record) {
  try {
    await content.identity.renew();
    await write(content, record);
    return null;
  } catch (cause) {
    if (cause.code === "core-dead") throw cause;
    return wrap("store-failed", `the identity's renewal was not saved: ${cause?.message ?? cause}`, cause);
  }
}

// Content of a record, in the clear: the identity's secret form, the known peers,
// the replay guard or nothing, each after its length, 4 bytes little-endian.

function serialise(identity, knownPeers, replay) {
  const response = call(op.identityMarshal, identity);
  const secret = response.bytes();
  response.wipe();
  const peers = call(op.peersBytes, knownPeers).bytes();
  const guard = replay === null ? new Uint8Array(0) : call(op.guardBytes, replay).bytes();
  const parts = [secret, peers, guard];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    new DataView(bytes.buffer).setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  secret.fill(0);
  return bytes;
}

async function parse(bytes) {
  try {
    const [secret, peers, guard] = split(bytes);
    const knownPeers = await KnownPeers.parse(peers);
    const replay = guard.length ? await ReplayGuard.parse(guard) : null;
    return { identity: readIdentity(call(op.identityParse, secret)), knownPeers, replay, unsaved: null };
  } catch (cause) {
    if (cause.code === "core-dead") throw cause;
    throw new HopsealError("store-damaged", "the stored identity is not one that this version reads", { cause });
  } finally {
    bytes.fill(0);
  }
}

function split(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parts = [];
  for (let at = 0; at < bytes.length; ) {
    const size = view.getUint32(at, true);
    parts.push(bytes.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  if (parts.length !== 3) throw new Error("want three parts");
  return parts;
}

// A record has read, write and close. read returns bytes for the caller to
// overwrite, or null.

class MemoryRecord {
  #bytes = null;

  async read() {
    return this.#bytes?.slice() ?? null;
  }

  async write(bytes) {
    const copy = bytes.slice(); // which may fail, and then leaves what was saved
    this.#bytes?.fill(0);
    this.#bytes = copy;
  }

  async close() {
    this.#bytes?.fill(0);
    this.#bytes = null;
  }
}

const formatVersion = 1;
const aadLabel = "hopseal/1 page store\0";
const lockPatience = 1500; // ms; a page that is being reloaded lets go of its locks a little late

async function openRecord(name, record) {
  checkAvailable();
  const unlock = await lock(`hopseal ${JSON.stringify([name, record])}`);
  let database;
  try {
    database = await openDatabase(name);
    return new DatabaseRecord(database, unlock, await wrappingKey(database), name, record);
  } catch (cause) {
    database?.close();
    unlock();
    throw wrap("store-failed", `the browser does not open its storage: ${cause?.message ?? cause}`, cause);
  }
}

function checkAvailable() {
  const missing = [];
  if (!globalThis.crypto?.subtle) missing.push("crypto.subtle");
  if (!globalThis.navigator?.locks) missing.push("Web Locks");
  try {
    if (!globalThis.indexedDB) missing.push("IndexedDB");
  } catch {
    missing.push("IndexedDB"); // forbidden in a sandboxed frame
  }
  if (missing.length) {
    throw new HopsealError("store-unavailable", `nothing can be kept here: without ${missing.join(", ")}`);
  }
}

// lock resolves with the function that unlocks.
function lock(name) {
  return new Promise((resolve, reject) => {
    const options = { signal: AbortSignal.timeout(lockPatience) };
    const held = () => new Promise((unlock) => resolve(unlock));
    navigator.locks.request(name, options, held).catch((cause) => {
      const busy = cause?.name === "TimeoutError" || cause?.name === "AbortError";
      reject(
        busy
          ? new HopsealError("store-in-use", "another tab or window uses this identity")
          : new HopsealError("store-unavailable", "the browser does not give out locks here", { cause }),
      );
    });
  });
}

class DatabaseRecord {
  #database;
  #unlock;
  #key;
  #id;
  #aad;

  constructor(database, unlock, key, name, record) {
    this.#database = database;
    this.#unlock = unlock;
    this.#key = key;
    this.#id = record;
    this.#aad = associatedData(name, record);
  }

  async read() {
    const stored = await this.#run("readonly", (records) => records.get(this.#id));
    if (stored === undefined) return null;
    try {
      if (stored.version !== formatVersion) throw new Error(`format version ${stored.version}`);
      return new Uint8Array(await crypto.subtle.decrypt(this.#cipher(stored.iv), this.#key, stored.data));
    } catch (cause) {
      throw new HopsealError("store-damaged", "the stored identity does not open", { cause });
    }
  }

  // write resolves once the record was read back and opened: some browsers have
  // lost keys that they said to have stored.
  async write(bytes) {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const data = new Uint8Array(await crypto.subtle.encrypt(this.#cipher(iv), this.#key, bytes));
    await this.#run("readwrite", (records) => records.put({ version: formatVersion, iv, data }, this.#id));
    const back = await this.read();
    const same = back?.length === bytes.length && back.every((b, i) => b === bytes[i]);
    back?.fill(0);
    if (!same) throw new HopsealError("store-failed", "the browser did not keep what was written");
  }

  async close() {
    this.#database.close();
    this.#key = null;
    this.#unlock();
  }

  #cipher(iv) {
    return { name: "AES-GCM", iv, additionalData: this.#aad };
  }

  async #run(mode, request) {
    try {
      return await transact(this.#database, "records", mode, request);
    } catch (cause) {
      throw wrap("store-failed", `the browser refused: ${cause?.message ?? cause}`, cause);
    }
  }
}

// associatedData = label ‖ version, 1 byte ‖ store ‖ record, each after its length,
// 4 bytes little-endian. A record that is moved to another name does not open.
function associatedData(name, record) {
  const encoder = new TextEncoder();
  const prefixed = (text) => {
    const bytes = encoder.encode(text);
    return [...new Uint8Array(new Uint32Array([bytes.length]).buffer), ...bytes];
  };
  return new Uint8Array([...encoder.encode(aadLabel), formatVersion, ...prefixed(name), ...prefixed(record)]);
}

// wrappingKey returns the database's key, made on first use. It is always the one
// that was read back, since two tabs may make one at the same time.
async function wrappingKey(database) {
  const get = () => transact(database, "keys", "readonly", (keys) => keys.get("wrap"));
  let key = await get();
  if (key === undefined) {
    const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    await transact(database, "keys", "readwrite", (keys) => keys.add(made, "wrap")).catch((error) => {
      if (error?.name !== "ConstraintError") throw error; // another tab was first
    });
    key = await get();
  }
  if (!(key instanceof CryptoKey) || key.extractable) {
    throw new HopsealError("store-unavailable", "this browser does not store keys");
  }
  return key;
}

function openDatabase(name) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("keys");
      request.result.createObjectStore("records");
    };
    request.onsuccess = () => {
      const database = request.result;
      database.onversionchange = () => database.close();
      resolve(database);
    };
    request.onerror = () => reject(request.error);
  });
}

// transact resolves with the request's result once the transaction is complete.
function transact(database, storeName, mode, start) {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(storeName, mode, { durability: "strict" });
    const request = start(transaction.objectStore(storeName));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error ?? request.error);
    transaction.onerror = () => reject(transaction.error ?? request.error);
  });
}
