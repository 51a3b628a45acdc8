// IndexedDB with promises that settle: a database that is blocked or broken may say nothing for ever.
import { HopsealError, wrap } from "./errors.js";

const version = 2;
const openPatience = 5_000; // ms
const patience = 10_000; // ms, of a transaction
const seconds = (ms) => `within ${ms / 1000} seconds`;

// openDatabase makes the object stores that are missing. lost is called, with an error, when the
// browser or another tab closes the database.
export function openDatabase(name, stores, lost) {
  return new Promise((resolve, reject) => {
    let waiting = true;
    let blocked = false;
    const settle = (how, value) => {
      waiting = false;
      clearTimeout(timer);
      how(value);
    };
    const timer = setTimeout(() => settle(reject, blocked ? inUse() : silent()), openPatience);
    const request = indexedDB.open(name, version);
    request.onblocked = () => (blocked = true);
    request.onupgradeneeded = () => {
      if (!waiting) return request.transaction.abort();
      const { result } = request;
      for (const store of stores) if (!result.objectStoreNames.contains(store)) result.createObjectStore(store);
    };
    request.onsuccess = () => {
      const database = request.result;
      if (!waiting) return database.close();
      database.onversionchange = () => {
        database.close();
        lost(inUse());
      };
      database.onclose = () => lost(new HopsealError("store-failed", "the browser has closed its storage"));
      settle(resolve, database);
    };
    request.onerror = () => settle(reject, request.error);
  });
}

const inUse = () => new HopsealError("store-in-use", "another tab or window deletes or changes the page's storage");
const silent = () => new HopsealError("store-unavailable", `the browser's storage did not open ${seconds(openPatience)}`);

// transact resolves with the results of the requests that start makes, once the transaction is complete.
export function transact(database, stores, mode, start, durability = "strict") {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(stores, mode, { durability });
    const timer = setTimeout(() => {
      reject(new HopsealError("store-failed", `the browser's storage did not answer ${seconds(patience)}`));
      transaction.abort();
    }, patience);
    const failed = (event) => {
      clearTimeout(timer);
      reject(transaction.error ?? event.target.error ?? new Error("the transaction was aborted"));
    };
    transaction.onabort = transaction.onerror = failed;
    let requests = [];
    transaction.oncomplete = () => {
      clearTimeout(timer);
      resolve(requests.map((request) => request.result));
    };
    try {
      requests = start(...stores.map((store) => transaction.objectStore(store)));
    } catch (error) {
      reject(error);
      transaction.abort();
    }
  });
}

const codes = { QuotaExceededError: "store-full", SecurityError: "store-unavailable", NotAllowedError: "store-unavailable" };

// refused gives what the browser throws a code. Some browsers have a storage that does not open in
// private mode.
export function refused(cause, opening) {
  const name = cause?.name;
  const code = codes[name] ?? (opening && name === "InvalidStateError" ? "store-unavailable" : "store-failed");
  return wrap(code, `the browser ${opening ? "does not open its storage" : "refused"}: ${cause?.message || name || cause}`, cause);
}

// wrappingKey returns the database's key, made on first use. It is always the one
// that was read back, since two tabs may make one at the same time.
export async function wrappingKey(database) {
  const get = async () => (await transact(database, ["keys"], "readonly", (keys) => [keys.get("wrap")]))[0];
  let key = await get();
  if (key === undefined) {
    const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    await transact(database, ["keys"], "readwrite", (keys) => [keys.add(made, "wrap")]).catch((error) => {
      if (error?.name !== "ConstraintError") throw error; // another tab was first
    });
    key = await get();
  }
  if (!(key instanceof CryptoKey) || key.extractable) {
    throw new HopsealError("store-unavailable", "this browser does not store keys");
  }
  return key;
}
