import { fails, hopseal, otherPage, same, test } from "./page.mjs";

const { openAccount, PublicIdentity } = hopseal;

const record = { record: "ann" };

test.short(
  "an account keeps itself through a reload",
  async () => {
    const [ann, bob] = [await openAccount(record), await openAccount({ record: "bob" })];
    same([ann.created, ann.name], [true, "ann"]);
    const [publicAnn, publicBob] = [await PublicIdentity.parse(ann.public.encode()), await PublicIdentity.parse(bob.public.encode())];
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
  Object.defineProperty(other, "indexedDB", { get() { throw new DOMException("", "SecurityError"); } });
  await fails(there.openAccount({ record: "none" }), "store-unavailable", "IndexedDB");
  const ann = await there.openAccount({ record: "none", memory: true });
  same([ann.created, (await indexedDB.databases()).length], [true, before]);
  await ann.close();
  close();
});
