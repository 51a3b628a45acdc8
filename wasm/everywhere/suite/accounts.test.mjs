import { fails, hopseal, otherPage, same, test } from "./page.mjs";

const { openAccount, PublicIdentity } = hopseal;

const record = { record: "ann" };

test.short(
  "an account keeps itself through a reload",
  async () => {
    const [ann, bob] = [await openAccount(record), await openAccount({ record: "bob" })];
    same([ann.created, ann.name], [true, "ann"]);
    const [publicAnn, publicBob] = [
      await PublicIdentity.parse(ann.public.encode()),
      await PublicIdentity.parse(bob.public.encode()),
    ];
    await ann.peers.admit(publicBob);
    await bob.peers.admit(publicAnn);
    const sealed = await bob.seal("grüße", { to: publicAnn });
    same((await ann.open(sealed, { from: publicBob })).text(), "grüße");
    const later = await bob.seal("later", { to: publicAnn });
    const kept = { fingerprint: ann.fingerprint, bob: publicBob.encode(), sealed: [...sealed], later: [...later] };
    sessionStorage.setItem("ann", JSON.stringify(kept)); // both stay open, as where a user reloads
  },
  async () => {
    const { fingerprint, bob, sealed, later } = JSON.parse(sessionStorage.getItem("ann"));
    const ann = await openAccount(record);
    same([ann.created, ann.fingerprint], [false, fingerprint]);
    const from = await PublicIdentity.parse(bob);
    same((await fails(ann.open(Uint8Array.from(sealed), { from }), "open-failed")).reason, "replay");
    same((await ann.open(Uint8Array.from(later), { from })).text(), "later");
    await ann.close();
    same(await ann.closed, null);
  },
);

test("A20 an account is locked to one page", async () => {
  const ann = await openAccount({ record: "one" });
  const { hopseal: there, close } = await otherPage();
  await fails(there.openAccount({ record: "one" }), "store-in-use");
  await ann.close();
  await (await there.openAccount({ record: "one" })).close();
  close();
});

test("an account in memory touches no storage", async () => {
  const before = (await indexedDB.databases()).length;
  const { window: other, hopseal: there, close } = await otherPage();
  Object.defineProperty(other, "indexedDB", {
    get() {
      throw new DOMException("", "SecurityError");
    },
  });
  await fails(there.openAccount({ record: "none" }), "store-unavailable", "IndexedDB");
  const ann = await there.openAccount({ record: "none", memory: true });
  same([ann.created, (await indexedDB.databases()).length], [true, before]);
  await ann.close();
  close();
});

// What somebody does who puts an older copy of the database in its place, and not of what is beside it.
test("an older copy of a record is noticed", async () => {
  const open = (options) => hopseal.openAccount({ record: "older", ...options });
  const friend = await hopseal.openAccount({ record: "friend", memory: true });
  let me = await open();
  await friend.peers.admit(me.public);
  const before = await copy();
  await me.peers.admit(friend.public);
  const letter = await friend.seal("once", { to: me.public });
  same((await me.open(letter, { from: friend.public })).text(), "once");
  await me.close();
  await putBack(before);
  await fails(open(), "store-rolled-back", "older copy");
  me = await open({ acceptOld: true });
  same(await me.peers.admitted(), []);
  await me.peers.admit(friend.public);
  same((await fails(me.open(letter, { from: friend.public }), "open-failed")).reason, "time");
  await me.close();
  me = await open(); // which is the newest now
  same(await me.peers.admitted(), [friend.fingerprint]);
  await me.close();
});

test("a lock that is stolen, and a database that is deleted, close the account", async () => {
  let me = await hopseal.openAccount({ record: "stolen" });
  await navigator.locks.request('hopseal ["hopseal","stolen"]', { steal: true }, () => {});
  same((await me.closed).code, "store-in-use");
  await fails(me.renew(), "store-in-use", "taken this identity over");
  me = await hopseal.openAccount({ record: "stolen", database: "deleted" });
  await done(indexedDB.deleteDatabase("deleted"));
  same((await me.closed).code, "store-in-use");
  me = await hopseal.openAccount({ record: "stolen" });
  same(me.created, false);
  await me.close();
});

const stores = ["records", "log"];

async function copy() {
  const database = await done(indexedDB.open("hopseal"));
  const all = {};
  for (const name of stores) {
    const store = () => database.transaction(name).objectStore(name);
    const [keys, values] = [await done(store().getAllKeys()), await done(store().getAll())];
    all[name] = keys.map((key, i) => [key, values[i]]);
  }
  database.close();
  return all;
}

async function putBack(all) {
  const database = await done(indexedDB.open("hopseal"));
  for (const name of stores) {
    const store = () => database.transaction(name, "readwrite").objectStore(name);
    await done(store().clear());
    for (const [key, value] of all[name]) await done(store().put(value, key));
  }
  database.close();
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
