import { cleartext, fails, hopseal, otherPage, same, test, until } from "./page.mjs";

const { Identity, init, KnownPeers, openStore } = hopseal;

test.short(
  "keys survive a reload",
  async () => {
    const store = await openStore({ record: "kept" });
    const [identity, knownPeers] = [await Identity.generate("kept"), await KnownPeers.create()];
    await knownPeers.admit({ room: "r" }, (await Identity.generate("friend")).public);
    await store.save({ identity, knownPeers });
    sessionStorage.setItem("fingerprint", identity.fingerprint); // the store stays open, as where a user reloads
  },
  async () => {
    await init();
    const store = await openStore({ record: "kept" });
    const { identity, knownPeers } = await store.load();
    same([identity.name, identity.fingerprint], ["kept", sessionStorage.getItem("fingerprint")]);
    same((await knownPeers.admitted({ room: "r" })).length, 1);
    await store.close();
  },
);

test("A20 a store is locked to one page", async () => {
  const store = await openStore({ record: "locked" });
  const { hopseal: there, close } = await otherPage();
  await there.init();
  const { retryable, hint } = await fails(there.openStore({ record: "locked" }), "store-in-use");
  same([retryable, hint !== ""], [true, true]);
  await there.openStore({ record: "another" }).then((another) => another.close());
  await store.close();
  const taken = await there.openStore({ record: "locked" });
  await fails(openStore({ record: "locked" }), "store-in-use");
  await taken.close();
  close();
});

test("a page that goes leaves its lock", async () => {
  const { hopseal: there, close } = await otherPage();
  await there.init();
  await there.openStore({ record: "left" });
  close();
  await until(() =>
    openStore({ record: "left" }).then(
      (store) => store.close().then(() => true),
      () => false,
    ),
  );
});

// What somebody sees who copies the database: bytes without the secrets, and a key that cannot be exported.
test("A44 keys at rest are wrapped", async () => {
  const store = await openStore({ record: "wrapped" });
  const identity = await Identity.generate("wrapped");
  await store.save({ identity, knownPeers: await KnownPeers.create() });
  await store.close();
  const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
  const secret = await cleartext.exportIdentity(identity);
  const database = await done(indexedDB.open("hopseal"));
  let keys = 0;
  for (const name of database.objectStoreNames) {
    for (const value of await done(database.transaction(name).objectStore(name).getAll())) {
      const parts = value instanceof CryptoKey ? [value] : Object.values(value);
      for (const key of parts.filter((part) => part instanceof CryptoKey)) {
        keys++;
        same(key.extractable, false);
        for (const format of ["raw", "jwk"])
          same(
            await crypto.subtle.exportKey(format, key).then(
              () => "out",
              () => "kept",
            ),
            "kept",
          );
      }
      const stored = parts
        .filter((part) => part instanceof ArrayBuffer || ArrayBuffer.isView(part))
        .map((part) => hex(part.buffer ?? part))
        .join();
      for (let at = 0; at + 8 <= secret.length; at += 8) same(stored.includes(hex(secret.slice(at, at + 8))), false);
    }
  }
  same(keys > 0, true);
  database.close();
});

test("a store says what is missing", async () => {
  for (const [hide, name] of [
    [(w) => Object.defineProperty(w.crypto, "subtle", { value: undefined }), "crypto.subtle"], // as in a page over plain http
    [
      (w) =>
        Object.defineProperty(w, "indexedDB", {
          get() {
            throw new DOMException("", "SecurityError");
          },
        }),
      "IndexedDB",
    ],
    [(w) => Object.defineProperty(w.navigator, "locks", { value: undefined }), "Web Locks"],
  ]) {
    const { window: other, hopseal: there, close } = await otherPage();
    hide(other);
    await there.init();
    await fails(there.openStore({ record: "none" }), "store-unavailable", name);
    same(await there.openStore({ record: "none", memory: true }).then((store) => store.load()), null);
    close();
  }
});

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
