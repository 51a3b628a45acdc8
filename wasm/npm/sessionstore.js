// Where sessions are kept, so that they survive a reload: in the page's IndexedDB, or in whatever keeps
// values by key and version. The core seals what it gives here.
import { booleanOf, bytesOf, functionOf, numberOf, optionsOf, textOf } from "./args.js";
import { call, handleOf, theCore } from "./core.js";
import { openDatabase, refused, transact, wrappingKey } from "./database.js";
import { badArgument, HopsealError } from "./errors.js";
import { readShared, SharedKeyset } from "./keys.js";
import { op } from "./ops.js";

const token = Symbol("hopseal");
const keysetName = "sessions";
const aadLabel = "hopseal/1 page sessions\0";

// openSessionStore opens the page's. It makes the keyset that seals sessions on first use.
export async function openSessionStore(options) {
  const { name = "hopseal sessions" } = optionsOf(options, ["name"]);
  let [database, ended] = [];
  const lost = (error) => (ended ??= error);
  try {
    database = await openDatabase(textOf(name, "name"), ["keys", "values"], lost);
    const keyset = await keysetOf(database);
    await sweep(database);
    return new SessionStore(token, database, keyset, () => ended);
  } catch (cause) {
    database?.close();
    throw refused(cause, true);
  }
}

export class SessionStore {
  #database;
  #ended;

  constructor(given, database, keyset, ended) {
    if (given !== token) throw badArgument("a SessionStore is not made with new: use openSessionStore()");
    this.#database = database;
    this.#ended = ended;
    Object.defineProperty(this, "keyset", { value: keyset, enumerable: true });
  }

  async get(key) {
    const [found] = await this.#run("readonly", (values) => [values.get(key)]);
    return found ?? null;
  }

  async put(key, value, version, expires) {
    return this.#swap(key, version, (values) => values.put({ value, version: version + 1, expires: expires.getTime() }, key));
  }

  async delete(key, version) {
    return this.#swap(key, version, (values) => values.delete(key), true);
  }

  async keys() {
    const [keys] = await this.#run("readonly", (values) => [values.getAllKeys()]);
    return keys;
  }

  close() {
    this.#database.close();
    this.keyset.close();
  }

  // swap changes a value that has the version, in one transaction.
  async #swap(key, version, change, absent = false) {
    let did = false;
    await this.#run("readwrite", (values) => {
      const found = values.get(key);
      found.onsuccess = () => {
        const has = found.result?.version ?? 0;
        did = has === version || (absent && has === 0);
        if (has === version) change(values);
      };
      return [];
    });
    return did;
  }

  async #run(mode, start) {
    if (this.#ended()) throw this.#ended();
    try {
      return await transact(this.#database, ["values"], mode, start);
    } catch (cause) {
      throw refused(cause);
    }
  }
}

// sweep removes what has expired.
async function sweep(database) {
  const now = Date.now();
  await transact(database, ["values"], "readwrite", (values) => {
    const all = values.openCursor();
    all.onsuccess = () => {
      const cursor = all.result;
      if (!cursor) return;
      if (cursor.value.expires < now) cursor.delete();
      cursor.continue();
    };
    return [];
  });
}

// keysetOf reads the keyset, or makes it, sealed under the key that the browser does not give out.
async function keysetOf(database) {
  const key = await wrappingKey(database);
  const get = async () => (await transact(database, ["keys"], "readonly", (keys) => [keys.get(keysetName)]))[0];
  let stored = await get();
  if (!stored) {
    const made = await wrapped(key);
    await transact(database, ["keys"], "readwrite", (keys) => [keys.add(made, keysetName)]).catch((error) => {
      if (error?.name !== "ConstraintError") throw error; // another tab was first
    });
    stored = await get();
  }
  try {
    const bytes = new Uint8Array(await crypto.subtle.decrypt(cipher(stored.iv), key, stored.data));
    const keyset = readShared(call(op.sharedParse, bytes));
    bytes.fill(0);
    return keyset;
  } catch (cause) {
    throw new HopsealError("store-damaged", "the keys of the stored sessions do not open", { cause });
  }
}

async function wrapped(key) {
  const keyset = await SharedKeyset.generate();
  const response = call(op.sharedMarshal, handleOf(keyset, SharedKeyset, "keyset"));
  const bytes = response.bytes();
  response.wipe();
  keyset.close();
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const data = new Uint8Array(await crypto.subtle.encrypt(cipher(iv), key, bytes));
  bytes.fill(0);
  return { iv, data };
}

const cipher = (iv) => ({ name: "AES-GCM", iv, additionalData: new TextEncoder().encode(aadLabel) });

const maxVersion = Number.MAX_SAFE_INTEGER - 1;

const registered = new WeakMap(); // store -> { core, key }

// keyOfStore registers a store once, for as long as the core lives: a session asks for it behind its end too.
export function keyOfStore(store) {
  const core = theCore();
  if (registered.get(store)?.core !== core) registered.set(store, { core, key: core.turns.register(functionsOf(store)) });
  return registered.get(store).key;
}

// functionsOf has what the core asks (wasm/internal/core/sessionconfig.go) do what a store does.
function functionsOf(store) {
  const does = Object.fromEntries(
    ["get", "put", "delete", "keys"].map((name) => [name, functionOf(store?.[name], `store.${name}`).bind(store)]),
  );
  const truth = (value, name) => [booleanOf(value, `what store.${name} gives`) ? 1 : 0];
  return {
    async get(content) {
      const found = await does.get(content.text());
      if (found === null || found === undefined) return [0n, new Uint8Array(0)];
      const { value, version } = found;
      return [BigInt(numberOf(version, "version", maxVersion, 1)), bytesOf(value, "value")];
    },
    async put(content) {
      const [key, value, version, expires] = [content.text(), content.bytes(), Number(content.bigint()), content.date()];
      return truth(await does.put(key, value, version, expires), "put");
    },
    async delete(content) {
      return truth(await does.delete(content.text(), Number(content.bigint())), "delete");
    },
    async keys() {
      return [...(await does.keys())].map((key) => textOf(key, "key"));
    },
  };
}
