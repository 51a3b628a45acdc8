// An account is what a user has: an identity, known peers and what was opened, kept in a store by
// itself. What is opened is saved before it is given out.
import { booleanOf, bytesOf, dataOf, listOf, optionsOf, textOf } from "./args.js";
import { call, handleOf, init } from "./core.js";
import { open, openOwn, ReplayGuard, seal } from "./envelope.js";
import { badArgument, shown } from "./errors.js";
import { expectedOf, Identity, KnownPeers, readIdentity, readPeers } from "./keys.js";
import { op } from "./ops.js";
import { Payload } from "./session.js";
import { isOld, openStore } from "./store.js";

const token = Symbol("hopseal");
const renewInterval = 60 * 60 * 1000; // ms, how often a page that does nothing else looks
const contact = Object.freeze({ role: "client" }); // what a peer is admitted as when nothing is said

const accountOptions = ["record", "name", "database", "memory", "acceptOld"];

export async function openAccount(options) {
  const { record, name = record, ...where } = optionsOf(options, accountOptions);
  textOf(name, "name");
  await init();
  return attach(record, where, async (found) => {
    if (found) return found;
    const identity = await Identity.generate(name);
    return { identity, knownPeers: await KnownPeers.create(), replay: await ReplayGuard.create({ identity }) };
  });
}

// The identity goes on under a statement of its own: the one in the file may be older than one that
// peers have seen.
export async function importAccount(encoded, passphrase, options) {
  const [bytes, secret] = [bytesOf(encoded, "bytes"), textOf(passphrase, "passphrase")];
  const { record, ...where } = optionsOf(options, ["record", "database", "memory"]);
  await init();
  return attach(record, where, async (found) => {
    if (found) throw badArgument("the record has an account already: import into another one");
    const response = call(op.accountImport, bytes, secret);
    const [identity, knownPeers] = [readIdentity(response), readPeers(response)];
    await identity.renew();
    return { identity, knownPeers, replay: await ReplayGuard.create() };
  });
}

// attach opens the record. make is given what was found there, or null, and gives the account's content.
async function attach(record, { database, memory, acceptOld }, make) {
  const store = await openStore({ name: database, record, memory, acceptOld });
  try {
    const found = await store.load();
    const content = await make(found);
    content.replay ??= await ReplayGuard.create();
    const account = new Account(token, store, content, !found);
    if (!found) await store.save(content);
    return account;
  } catch (error) {
    await store.close();
    throw error;
  }
}

// partsOf gives sessions what an account has, and null for another value.
export let partsOf;

class Account {
  #store;
  #content; // what the store loads and saves
  #unsaved; // the error that the last save failed with, if it did

  constructor(given, store, content, created) {
    if (given !== token) throw badArgument("an Account is not made with new: use openAccount()");
    const { unsaved = null, ...kept } = content;
    this.#store = store;
    this.#content = kept;
    this.#unsaved = unsaved;
    const own = { enumerable: true };
    Object.defineProperties(this, {
      created: { ...own, value: created },
      peers: { ...own, value: new Peers(kept.knownPeers, () => this.#change()) },
      closed: { ...own, value: store.closed },
    });
    const stop = () => clearInterval(timer);
    const timer = setInterval(lookAfter, renewInterval, new WeakRef(this), stop);
    timer.unref?.(); // a timer that waits must not keep Node alive
    store.closed.then(stop);
  }

  static {
    const isAccount = (value) => typeof value === "object" && value !== null && #content in value;
    partsOf = (value) => (isAccount(value) ? value.#content : null);
  }

  get name() {
    return this.public.name;
  }

  get fingerprint() {
    return this.public.fingerprint;
  }

  get public() {
    return this.#content.identity.public;
  }

  get unsaved() {
    return this.#unsaved;
  }

  async seal(data, options) {
    const bytes = dataOf(data, "data");
    const { to, own = false, expected = contact, context, contentType } = optionsOf(options, sealOptions);
    const [asked, mine] = [expectedOf(expected), booleanOf(own, "own")];
    this.#check();
    const peers = isList(to) ? listOf(to, "to", (peer) => peer) : [to];
    if (isOld(this.public)) await this.renew();
    for (const peer of peers) await this.#content.knownPeers.verify(asked, peer);
    if (mine) peers.push(this.public);
    const sealed = await seal(bytes, { from: this.#content.identity, to: peers, context, contentType }).finally(() => bytes.fill(0));
    await this.#try();
    return sealed;
  }

  async open(sealed, options) {
    const bytes = bytesOf(sealed, "sealed");
    const { from, expected = contact, context, maxAge } = optionsOf(options, openOptions);
    const asked = expectedOf(expected);
    this.#check();
    if (isOld(this.public)) await this.renew();
    const { identity, knownPeers, replay } = this.#content;
    await knownPeers.verify(asked, from);
    const { data, header } = await open(bytes, { identity, from, context, maxAge, replay });
    try {
      await this.#change();
    } catch (error) {
      data.fill(0);
      const id = Uint8Array.from(header.id.match(/../g), (digits) => parseInt(digits, 16));
      if (error.code !== "core-dead") call(op.guardWithdraw, handleOf(replay, ReplayGuard, "replay"), header.sender, id);
      throw error;
    }
    return new Opened(data, header);
  }

  async openOwn(sealed, options) {
    const bytes = bytesOf(sealed, "sealed");
    const { context = "" } = optionsOf(options, ["context"]);
    this.#check();
    const { data, header } = await openOwn(bytes, this.#content.identity, textOf(context, "context"));
    return new Opened(data, header);
  }

  async export(passphrase) {
    const { identity, knownPeers } = this.#content;
    const secret = textOf(passphrase, "passphrase");
    this.#check();
    const handles = [handleOf(identity, Identity, "identity"), handleOf(knownPeers, KnownPeers, "knownPeers")];
    return call(op.accountExport, ...handles, secret).bytes();
  }

  // renew signs a new statement where it is time, and saves that and what sessions have learned of peers.
  async renew() {
    this.#check();
    if (isOld(this.public)) await this.#content.identity.renew();
    await this.#try();
  }

  async close() {
    await this.#store.close();
    for (const held of Object.values(this.#content)) held.close();
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  get [Symbol.toStringTag]() {
    return "Account";
  }

  toString() {
    return `Account(${shown(this.name)} ${this.fingerprint} [redacted])`;
  }

  toJSON() {
    return "[redacted]";
  }

  [Symbol.for("nodejs.util.inspect.custom")]() {
    return this.toString();
  }

  #check() {
    if (this.#store.ended) throw this.#store.ended;
  }

  async #change() {
    try {
      await this.#store.save(this.#content);
      this.#unsaved = null;
    } catch (error) {
      this.#unsaved = error;
      throw error;
    }
  }

  // try saves what may as well be saved the next time.
  #try() {
    return this.#change().catch(() => this.#check());
  }
}

const sealOptions = ["to", "own", "expected", "context", "contentType"];
const openOptions = ["from", "expected", "context", "maxAge"];

// isList leaves a Proxy that was revoked to listOf.
function isList(value) {
  try {
    return Array.isArray(value);
  } catch {
    return true;
  }
}

// lookAfter renews the account of a page that stays open, for as long as anybody has it.
function lookAfter(weak, stop) {
  const account = weak.deref();
  if (account) account.renew().catch(() => {});
  else stop();
}

// What me.open gives: the bytes, with ways to read them, and the authenticated header.
class Opened extends Payload {
  constructor(data, header) {
    super(data);
    this.header = header;
  }
}

// The peers of an account. A change counts at once, and is saved when the promise resolves.
class Peers {
  #known;
  #save;

  constructor(known, save) {
    this.#known = known;
    this.#save = save;
  }

  async admit(peer, expected = contact) {
    await this.#known.admit(expected, peer);
    await this.#save();
  }

  async verify(peer, expected = contact) {
    await this.#known.verify(expected, peer);
    await this.#save();
  }

  async forget(fingerprint, expected = contact) {
    await this.#known.forget(expected, fingerprint);
    await this.#save();
  }

  async revoke(revocation) {
    await this.#known.revoke(revocation);
    await this.#save();
  }

  async admitted(expected = contact) {
    return this.#known.admitted(expected);
  }
}
