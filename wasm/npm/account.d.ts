// Accounts and stores: what a page keeps of its user. index.d.ts exports all of this.
import type {
  Binary,
  Bytes,
  Data,
  Expected,
  Header,
  HopsealError,
  Identity,
  KnownPeers,
  Payload,
  PublicIdentity,
  ReplayGuard,
} from "./index.js";

export interface AccountOptions {
  /** Which user of the page: one record each. */
  record: string;
  /** The name that others see of a new identity, default the record's. It proves nothing to them. */
  name?: string;
  /** Of the database, default "hopseal". */
  database?: string;
  /** Keep everything in this page's memory, gone with it, and touch no storage. */
  memory?: boolean;
  /** Go on with a record that is older than the last one that was saved: see "store-rolled-back". */
  acceptOld?: boolean;
}

/**
 * Starts the core, and loads the identity, the known peers and the replay guard of a user, or makes
 * them. They keep themselves from then on: what changes is saved, and the identity is renewed in time.
 *
 * ```js
 * const me = await openAccount({ record: "ann" });
 * await me.peers.admit(bob); // once its owner has read out bob.fingerprint
 * const letter = await me.seal("hello", { to: bob, own: true });
 * const mine = await me.openOwn(letter); // me.open opens what bob sends
 * console.log(mine.text());
 * ```
 *
 * The record belongs to one tab, until `close()` or until the page goes. Rejects as `openStore` does.
 *
 * @see https://github.com/hopseal/hopseal/blob/main/docs/browser.md#store-unavailable
 */
export function openAccount(options: AccountOptions): Promise<Account>;

/**
 * Fills a record that is empty with what `export` of an account gave, or with the file of a Go `keystore` that has
 * a passphrase and no shared keysets. The replay guard is not in it: messages of the first five minutes are refused.
 * Use one of the two accounts from then on: peers follow the one that renewed last.
 *
 * Rejects with "wrong-passphrase", "invalid", "bad-argument" for a record that is not empty, and as `openAccount`.
 */
export function importAccount(
  bytes: Binary,
  passphrase: string,
  options: Omit<AccountOptions, "name" | "acceptOld">,
): Promise<Account>;

/** What the user has. It prints as its name and fingerprint. */
export interface Account {
  readonly name: string;
  /** "fp1" and 52 characters: what people compare. It stays through renewals. */
  readonly fingerprint: string;
  /** The signed public half as it stands now: `me.public.encode()` is what to hand to others. */
  readonly public: PublicIdentity;
  /** Whether the record was empty, and the identity is new. */
  readonly created: boolean;
  readonly peers: AccountPeers;
  /** What the last attempt to save failed with, null if all is saved. The next change tries again. */
  readonly unsaved: HopsealError | null;
  /** Resolves when nothing is kept any more: with null after `close()`, else with what took the record away. */
  readonly closed: Promise<HopsealError | null>;
  /**
   * Seals to one or more peers, each once, who were all admitted. Rejects with the code that
   * `peers.verify` has for a peer, and as `seal` does.
   */
  seal(data: Data, options: AccountSealOptions): Promise<Bytes>;
  /**
   * Opens a message of one peer, who was admitted, once. That it was opened is saved before the message
   * is given out: where that fails, with "store-full" for example, it can be opened later.
   */
  open(sealed: Binary, options: AccountOpenOptions): Promise<Opened>;
  /** Opens what this account has sealed with `own: true`, as often as asked, and nothing of anybody else. */
  openOwn(sealed: Binary, options?: { context?: string }): Promise<Opened>;
  /**
   * Identity and peers under a passphrase, for another browser or a drawer: the file of a Go `keystore`, which
   * `keystore.Open` opens. Five or more random words, 16 characters at least. Argon2id takes 64 MiB, which the page
   * does not give back, and the main thread for about a second; `importAccount` the same.
   */
  export(passphrase: string): Promise<Bytes>;
  /**
   * Signs a new statement where it is time, and saves it. The account does so itself, when it is
   * used and once an hour.
   */
  renew(): Promise<void>;
  /** Lets the record and the keys go. */
  close(): Promise<void>;
  toString(): string;
  toJSON(): string;
}

export interface AccountSealOptions {
  to: PublicIdentity | readonly PublicIdentity[];
  /** Seal it to this account too, for a history: `openOwn` opens it. Takes 1.2 KB more. */
  own?: boolean;
  /** What the peers were admitted for, if anything was said then. */
  expected?: Expected;
  /** What the message is for: whoever opens it must expect the same. Visible, at most 1,024 bytes. */
  context?: string;
  /** What the data is. Visible, at most 128 bytes. */
  contentType?: string;
}

export interface AccountOpenOptions {
  /** The expected sender. */
  from: PublicIdentity;
  /** What the sender was admitted for, if anything was said then. */
  expected?: Expected;
  /** Must equal the sealer's. */
  context?: string;
  /** How long ago the message may have been sealed, in milliseconds. Default: five minutes; at most 30 days. */
  maxAge?: number;
}

/** A message that was opened: `text()`, `json()`, `bytes()`, and the authenticated header. */
export interface Opened extends Payload {
  readonly header: Header;
}

/**
 * The peers that the user of an account admitted. A change counts at once, and is saved when its promise
 * resolves. Without `expected` a peer is a contact: somebody whose messages count, and a client where the
 * account serves.
 */
export interface AccountPeers {
  /** Records that the user compared the fingerprint and means this peer. */
  admit(peer: PublicIdentity, expected?: Expected): Promise<void>;
  /** As `KnownPeers.verify`. */
  verify(peer: PublicIdentity, expected?: Expected): Promise<void>;
  forget(fingerprint: string, expected?: Expected): Promise<void>;
  /** As `KnownPeers.revoke`. */
  revoke(revocation: PublicIdentity): Promise<void>;
  /** The fingerprints that were admitted. */
  admitted(expected?: Expected): Promise<string[]>;
}

export interface StoreOptions {
  /** Of the database, default "hopseal". */
  name?: string;
  /** Which identity: one record for each user of the page. */
  record: string;
  /** Keep everything in this page's memory, gone with it, and touch no storage. */
  memory?: boolean;
  /** Load a record that is older than the last one that was saved: see "store-rolled-back". */
  acceptOld?: boolean;
}

/**
 * Opens a record of the page's IndexedDB, for a program that keeps identity, peers and guard itself:
 * `openAccount` does that for you. What is saved is encrypted under an AES-256-GCM key that the browser
 * keeps and does not give out: that stops copying, not use by a script that runs in the page. The record
 * stays locked until `close()`, or until the page goes.
 *
 * Rejects with "store-unavailable", "store-in-use" or "store-failed", in ten seconds at most.
 *
 * ```js
 * const store = await openStore({ record: "ann" });
 * let content = await store.load();
 * if (!content) {
 *   const identity = await Identity.generate("ann");
 *   content = { identity, knownPeers: await KnownPeers.create(), replay: await ReplayGuard.create({ identity }) };
 *   await store.save(content);
 * }
 * ```
 *
 * @see https://github.com/hopseal/hopseal/blob/main/docs/browser.md#store-unavailable
 */
export function openStore(options: StoreOptions): Promise<Store>;

export interface Store {
  /**
   * null when nothing was saved. An identity whose statement is in the second half of its 30 days, or has
   * expired, is renewed and saved first: a page that is opened again stays known to its peers. Where saving
   * fails the identity is renewed all the same, and `unsaved` is the error: save() again before the page
   * goes.
   *
   * Rejects with "store-damaged" or "store-failed", and with "store-rolled-back" for a record that is older
   * than the last one that was saved, by what a second database and localStorage remember. With
   * `acceptOld` it loads: the identity is renewed, no peers are known, and the guard refuses everything of
   * its first five minutes. The guard does so too where neither of these places remembers anything.
   */
  load(): Promise<{
    identity: Identity;
    knownPeers: KnownPeers;
    replay: ReplayGuard | null;
    unsaved: HopsealError | null;
  } | null>;
  /**
   * Writes what changed since the last save: for a message that was opened some 70 bytes. Resolves once
   * that was read back. Rejects with "store-full" or "store-failed"; the store can be used after both.
   */
  save(content: { identity: Identity; knownPeers: KnownPeers; replay?: ReplayGuard | null }): Promise<void>;
  /**
   * Resolves when nothing can be saved any more: with null after `close()`, else with what took the record
   * away: "store-in-use" where another tab stole the lock or deletes the database.
   */
  readonly closed: Promise<HopsealError | null>;
  close(): Promise<void>;
}
