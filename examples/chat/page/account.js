// The user's keys and the peers that they admitted, kept by the browser under the
// user's name.

import { Identity, KnownPeers, ReplayGuard, openStore } from "./hopseal/index.js";
import { renewAfter } from "./room.js";

/**
 * Opens the account of that name, made if there is none. With memory nothing is
 * kept. trouble is called with an error when a later save fails.
 */
export async function openAccount(name, { memory = false, trouble }) {
  const store = await openStore({ name: "hopseal-chat", record: name, memory });
  try {
    return await load(store, name, trouble);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function load(store, name, trouble) {
  const kept = await store.load();
  const identity = kept?.identity ?? (await Identity.generate(name));
  const knownPeers = kept?.knownPeers ?? (await KnownPeers.create());
  const account = new Account(store, identity, knownPeers, trouble);
  account.replay = kept?.replay ?? (await ReplayGuard.create({ identity }));
  const stale = Date.now() - identity.public.issued.getTime() > renewAfter;
  if (kept && stale) await identity.renew();
  // Saved before anybody sees it: the same serial under two statements is an alarm.
  if (!kept || stale) await store.save(parts(account));
  return account;
}

class Account {
  #store;
  #trouble;

  constructor(store, identity, knownPeers, trouble) {
    this.#store = store;
    this.#trouble = trouble;
    this.identity = identity;
    this.knownPeers = knownPeers;
  }

  /** Saves whom the user admitted and what was opened, if that changed. Never rejects. */
  async save() {
    try {
      await this.#store.save(parts(this));
    } catch (error) {
      this.#trouble(error);
    }
  }

  async close() {
    await this.#store.close();
    for (const held of [this.identity, this.knownPeers, this.replay]) held.close();
  }
}

const parts = ({ identity, knownPeers, replay }) => ({ identity, knownPeers, replay });
