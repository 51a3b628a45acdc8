// One record of the page's IndexedDB: what was written whole last, and after it a log of what was
// appended. Both are encrypted under an AES-256-GCM key that WebCrypto keeps and does not give out. A
// script that runs in the page can use the key all the same; it cannot carry it away.
//
// Each write has the next generation, which is authenticated with it. A second database and
// localStorage remember the last generation: an older copy of the record that is put back has a
// lower one.
import { openDatabase, refused, transact, wrappingKey } from "./database.js";
import { HopsealError } from "./errors.js";
import { lock } from "./locks.js";

const formatVersion = 2;
const aadLabel = "hopseal/1 page store\0";
const kinds = { records: 0, log: 1 };
const limit = 2 ** 50; // of generations; whoever writes nonsense beside the record must not use them up
const sane = (n) => (Number.isInteger(n) && n > 0 && n < limit ? n : 0);
const none = () => {};

export async function openRecord(name, id, lost) {
  checkAvailable();
  const key = `hopseal ${JSON.stringify([name, id])}`;
  let [record, ended, database] = [];
  const gone = (error) => {
    ended ??= error;
    if (record) lost(error);
  };
  const unlock = await lock(key, gone);
  const witness = openWitness(name, key);
  try {
    database = await openDatabase(name, ["keys", "records", "log"], gone);
    const sealing = await wrappingKey(database);
    const opened = new DatabaseRecord(database, unlock, sealing, name, id, await witness);
    if (ended) throw ended;
    return (record = opened);
  } catch (cause) {
    database?.close();
    witness.then((witness) => witness.close());
    unlock();
    throw refused(cause, true);
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
  if (!missing.length) return;
  const why = globalThis.isSecureContext === false ? ": the page came over plain http" : "";
  throw new HopsealError("store-unavailable", `nothing can be kept here, without ${missing.join(", ")}${why}`);
}

class DatabaseRecord {
  #database;
  #unlock;
  #key;
  #name;
  #id;
  #witness;
  #generation = 0; // of the last write

  constructor(database, unlock, key, name, id, witness) {
    this.#database = database;
    this.#unlock = unlock;
    this.#key = key;
    this.#name = name;
    this.#id = id;
    this.#witness = witness;
  }

  // read returns null, or what was written whole, what was appended to it, and what the other
  // places say: "current", "old", or "unknown" where there is none.
  async read() {
    const [stored, log] = await this.#run("readonly", (records, log) => [records.get(this.#id), log.getAll(this.#log())]);
    const seen = this.#witness.seen;
    this.#generation = Math.max(seen, this.#generation, sane(stored?.generation));
    if (stored === undefined) return null;
    let last = stored.generation;
    try {
      const whole = await this.#open("records", stored);
      const appended = await Promise.all(log.map((entry) => this.#open("log", entry)));
      for (const { generation } of log) if (generation !== ++last) throw new Error(`generation ${generation} follows ${last - 1}`);
      this.#generation = Math.max(seen, last);
      return { whole, appended, state: !seen ? "unknown" : seen > last ? "old" : "current" };
    } catch (cause) {
      throw new HopsealError("store-damaged", "the stored identity does not open", { cause });
    }
  }

  async write(bytes) {
    if (!this.#generation) await this.read().catch((error) => error.code === "store-damaged" || Promise.reject(error));
    const generation = this.#generation + 1;
    const sealed = await this.#seal("records", generation, bytes);
    await this.#run("readwrite", (records, log) => [records.put(sealed, this.#id), log.delete(this.#log())]);
    await this.#written("records", generation, this.#id, bytes);
  }

  // append adds to what was written.
  async append(bytes) {
    const generation = this.#generation + 1;
    const sealed = await this.#seal("log", generation, bytes);
    const at = [this.#id, generation];
    await this.#run("readwrite", (_, log) => [log.add(sealed, at)]);
    await this.#written("log", generation, at, bytes);
  }

  // written reads back and opens what was written: some browsers have lost keys that they said
  // to have stored.
  async #written(store, generation, at, bytes) {
    const [stored] = await this.#run("readonly", (records, log) => [{ records, log }[store].get(at)]);
    const back = stored && (await this.#open(store, stored).catch(none));
    const same = stored?.generation === generation && back?.length === bytes.length && back.every((b, i) => b === bytes[i]);
    back?.fill(0);
    if (!same) throw new HopsealError("store-failed", "the browser did not keep what was written");
    this.#generation = generation;
    this.#witness.note(generation);
  }

  async close() {
    this.#database.close();
    this.#key = null;
    await this.#witness.close();
    this.#unlock();
  }

  #log() {
    return IDBKeyRange.bound([this.#id, 0], [this.#id, Infinity]);
  }

  async #seal(store, generation, bytes) {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const data = new Uint8Array(await crypto.subtle.encrypt(this.#cipher(store, generation, iv), this.#key, bytes));
    return { version: formatVersion, generation, iv, data };
  }

  async #open(store, { version, generation, iv, data }) {
    if (version !== formatVersion) throw new Error(`format version ${version}`);
    return new Uint8Array(await crypto.subtle.decrypt(this.#cipher(store, generation, iv), this.#key, data));
  }

  #cipher(store, generation, iv) {
    const additionalData = associatedData(kinds[store], generation, this.#name, this.#id);
    return { name: "AES-GCM", iv, additionalData };
  }

  async #run(mode, start) {
    try {
      return await transact(this.#database, ["records", "log"], mode, start);
    } catch (cause) {
      throw refused(cause);
    }
  }
}

// associatedData = label ‖ version, 1 byte ‖ kind, 1 byte ‖ generation, 8 bytes little-endian ‖ store ‖
// record, each after its length, 4 bytes little-endian. A record that is moved to another name, and
// an entry that is moved to another place in the log, do not open.
function associatedData(kind, generation, name, record) {
  const encoder = new TextEncoder();
  const numbers = (...all) => new Uint8Array(new Uint32Array(all).buffer);
  const prefixed = (text) => [...numbers(encoder.encode(text).length), ...encoder.encode(text)];
  const counted = numbers(generation, generation / 2 ** 32);
  return new Uint8Array([...encoder.encode(aadLabel), formatVersion, kind, ...counted, ...prefixed(name), ...prefixed(record)]);
}

// A Witness remembers the last generation of a record elsewhere. It is told after the record was
// written, so that it is never ahead, and what it cannot keep harms nothing.
class Witness {
  #key;
  #database;
  #noted = null;

  constructor(key, database, seen) {
    this.#key = key;
    this.#database = database;
    this.seen = seen;
  }

  note(generation) {
    this.seen = generation;
    try {
      localStorage.setItem(this.#key, generation);
    } catch {
      // There is none, or it is full.
    }
    const put = (seen) => [seen.put(generation, this.#key)];
    this.#noted = this.#database && transact(this.#database, ["seen"], "readwrite", put, "relaxed").catch(none);
  }

  async close() {
    await this.#noted;
    this.#database?.close();
  }
}

async function openWitness(name, key) {
  let [here, there] = [0, 0];
  try {
    here = Number(localStorage.getItem(key));
  } catch {
    // A worker has none.
  }
  const database = await openDatabase(`${name} generations`, ["seen"], none).catch(none);
  if (database) [there] = await transact(database, ["seen"], "readonly", (seen) => [seen.get(key)]).catch(() => [0]);
  return new Witness(key, database, Math.max(sane(here), sane(there)));
}

// A MemoryRecord keeps the same without a browser.
export class MemoryRecord {
  #whole = null;
  #appended = [];

  async read() {
    return this.#whole && { whole: this.#whole.slice(), appended: this.#appended.map((b) => b.slice()), state: "current" };
  }

  async write(bytes) {
    const copy = bytes.slice(); // which may fail, and then leaves what was saved
    this.#forget();
    this.#whole = copy;
  }

  async append(bytes) {
    this.#appended.push(bytes.slice());
  }

  async close() {
    this.#forget();
  }

  #forget() {
    this.#whole?.fill(0);
    this.#whole = null;
    this.#appended = [];
  }
}
