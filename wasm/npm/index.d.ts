// Hopseal for browsers and Node: messages that only the intended ends can read.
//
// The cryptography is Hopseal's Go code, compiled to WebAssembly: the same bytes
// on the wire as on a Go server. Importing this module fetches and runs nothing;
// call init() once, then the rest.
//
// Every asynchronous function rejects with a HopsealError. Arguments are read and copied
// on the call, and nothing returned here is a view on the core's memory. An option that
// does not exist is refused, as is a SharedArrayBuffer and text that is cut in the middle
// of a character.

/**
 * A type of the platform where the program's libraries have it: programs for Node need no DOM library.
 */
type Platform<Name extends string, Otherwise = never> = typeof globalThis extends { [N in Name]: { prototype: infer T } } ? T : Otherwise;

/** Bytes to read from: an ArrayBuffer, or what any view shows of one. They are copied on the call. */
export type Binary = ArrayBuffer | ArrayBufferView;

/** Bytes with a buffer of their own, which fit a `Blob`, `fetch` and `WebSocket.send`: a `Uint8Array`. */
export type Bytes = ReturnType<Uint8Array["slice"]>;

/** A `WebAssembly.Module`. */
export type CoreModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer T } } } ? T : object;

/**
 * What `init` can load the core from: where it is, what was fetched already, its
 * bytes, or a compiled module.
 *
 * ```js
 * await init();                       // core.wasm beside the package's files
 * await init("/assets/core.wasm");    // where it was deployed
 * ```
 */
export type CoreSource = string | Platform<"URL"> | Platform<"Response"> | Promise<Platform<"Response">> | Binary | CoreModule;

export interface CoreInfo {
  /** Version of the protocol code. */
  readonly version: string;
  /** Names this very build, 32 hex digits. */
  readonly buildId: string;
  /**
   * Whether the page has `crypto.subtle`. A page that was loaded over plain http
   * has not, unless from localhost: then `openStore` keeps nothing, and messages from
   * 16 KiB on take about ten times as long. Their bytes are the same.
   */
  readonly webcrypto: boolean;
}

/**
 * Fetches and starts the core, by default from `core.wasm` beside this module.
 * Later calls return the first one's promise; one that names another URL rejects with
 * "bad-argument". After a failure, or once the core has died (code "core-dead"), the next
 * call starts afresh.
 *
 * Rejects with "core-fetch", "core-not-wasm", "core-compile", "core-mismatch" or
 * "core-start".
 */
export function init(source?: CoreSource): Promise<CoreInfo>;

import type { Data, SessionClosed } from "./session.js";
export * from "./session.js";
export * from "./account.js";

/**
 * Stable names of what can go wrong. New ones may be added.
 *
 * @see https://github.com/hopseal/hopseal/blob/main/docs/browser.md#errors which says what to do about each; `#open-failed` and the like lead to one
 */
export type ErrorCode =
  // The core
  | "not-initialised" // call init() first
  | "core-fetch" // core.wasm could not be fetched; the message says what came instead
  | "core-not-wasm" // what came is not WebAssembly; the message says what it looks like
  | "core-compile" // the browser does not compile it, or a Content-Security-Policy forbids it
  | "core-mismatch" // core.wasm and runtime.js are of different builds
  | "core-start" // it did not start
  | "core-dead" // the core failed inside; nothing of it can be used any more, init() starts afresh
  // The caller
  | "bad-argument"
  | "closed" // the object was closed before, or the core that held it has been replaced
  | "too-large" // a plaintext of more than 64 MiB, or more than its envelope takes in one call
  | "too-many" // more than 65,536 live objects, which looks like a leak
  | "aborted" // by the caller's AbortSignal
  // Messages and trust
  | "invalid" // bytes that are not what was to be parsed
  | "seal-failed" // a recipient expired or was revoked, or is listed twice
  | "identity-expired" // that of the page itself: renew() it
  | "open-failed"
  | "replay-unavailable" // the ReplayCache did not decide: the message was not refused
  | "trust-unknown" // never admitted for what was expected
  | "trust-changed" // another root is known for it, or another statement under the same serial
  | "trust-revoked"
  | "trust-expired"
  | "trust-rolled-back"
  | "trust-not-yet-valid" // issued in the future, by this clock
  // The store
  | "store-unavailable" // no IndexedDB, no crypto.subtle or no Web Locks here
  | "store-in-use" // another tab, or another openStore, holds this record, or has taken it away
  | "store-damaged" // the record does not open: changed, or its key is gone
  | "store-rolled-back" // an older copy of the record was put back: what was opened, forgotten or revoked since is not in it
  | "store-full" // the disk, or what the browser gives this site, is full
  | "store-failed" // the browser refused to read or write, or did not answer
  | "wrong-passphrase" // what was exported does not open with it
  // The relay
  | "relay-unreachable"
  | "relay-closed"
  | "relay-protocol" // the relay sent something that is not a frame
  | "relay-overflow" // events were not taken in time, and the connection was given up; or more is being published than the relay takes
  | "relay-name-taken"
  | "relay-full"
  | "relay-too-large"
  | "relay-bad-name"
  | "relay-bad-topic"
  | "relay-refused" // any other refusal
  // Sessions
  | "unreachable" // there was no connection
  | "handshake" // no session came about: error.reason says why in one word
  | "session-closed" // error.close says how it ended
  | "session-overflow" // more than 64 MiB wait to be sent
  | "refused" // by a message's receiver: error.reason says why, error.id which
  | "reply" // the other end's function answered with an error: error.reply is its code
  | "credentials" // thrown by authenticate: the client's credentials are not accepted
  | "credentials-expired" // thrown by authenticate: nothing but their time is wrong
  | "stream" // an end has given the stream up
  | "callback"; // a function of the page failed

/** Why a message did not open. For the local user and log only: never tell a sender. */
export type OpenReason =
  | "malformed"
  | "version"
  | "suite"
  | "sender"
  | "reflected"
  | "context"
  | "proof"
  | "not-for-us"
  | "key"
  | "body"
  | "time"
  | "replay"
  | "retired"
  | "sender-expired" // made when the statement in from had expired: ask the sender for its current identity
  | "unlisted"; // by a key that `from` does not list: ask the sender for its current identity; or a forgery

/**
 * What every function of the package rejects with.
 *
 * ```js
 * try {
 *   await open(sealed, { identity: me, from: bob, replay });
 * } catch (error) {
 *   console.log(error.code, error.message, error.hint); // "open-failed", …
 *   if (!error.retryable) throw error;
 * }
 * ```
 *
 * @see https://github.com/hopseal/hopseal/blob/main/docs/browser.md#errors
 */
export class HopsealError extends Error {
  readonly name: "HopsealError";
  readonly code: ErrorCode;
  /** What to do about it, one sentence, "" where there is nothing to say. */
  readonly hint: string;
  /** Whether trying again later may succeed without anybody doing anything. */
  readonly retryable: boolean;
  /** With codes "open-failed", whose message text is the same for every reason, "handshake", "refused" and "session-closed". */
  readonly reason?: OpenReason | (string & {});
  /** With code "trust-changed": the fingerprints that are known for what was expected. */
  readonly known?: readonly string[];
  /** With code "session-closed". */
  readonly close?: Omit<SessionClosed, "reason" | "error">;
  /** With code "reply". */
  readonly reply?: number;
  /** With code "refused": the number of the message. */
  readonly id?: bigint;
  /** What this came from, where it came from something. */
  readonly cause?: unknown;
}

/**
 * A long-term identity with its secret keys, which live inside the core. It prints
 * as its name and fingerprint.
 *
 * ```js
 * const ann = await Identity.generate("ann");
 * const bytes = ann.public.bytes; // for others, who compare ann.fingerprint with her
 * ```
 */
export class Identity {
  private constructor();
  /**
   * Makes a new one. The name has 1 to 128 bytes of UTF-8, the first and last character can be seen, and it
   * proves nothing to others. Rejects with "bad-argument".
   */
  static generate(name: string): Promise<Identity>;
  readonly name: string;
  /** "fp1" and 52 characters: what people compare. It stays through renewals. */
  readonly fingerprint: string;
  /** The signed public half as it stands now, to be handed to others. */
  readonly public: PublicIdentity;
  /**
   * Signs a new public half, valid for 30 days from now. Save the identity after it. After 30 days
   * without that peers refuse it, and seal() rejects with "identity-expired"; openStore() renews what it
   * loads. A page that stays open for weeks, and whoever keeps identities elsewhere, calls it once a week.
   */
  renew(): Promise<void>;
  /** Lets the core drop the keys. Later calls with it reject with "closed". */
  close(): void;
  toString(): string;
  toJSON(): string;
}

/**
 * What an identity's root says about its name and keys, signed. That it parsed
 * proves only that its own root signed it; whether that root is the one you mean
 * is for `KnownPeers`, or for a person who compares fingerprints.
 *
 * The name may hold any characters: show it as text only.
 */
export class PublicIdentity {
  private constructor();
  /**
   * Takes what `bytes` and `encode()` give. White space in the text does not count, nor what stands before
   * a "#" in it: `parse(location.href)`. Rejects with "invalid". Expiry is not checked here but where
   * trust is decided.
   */
  static parse(encoded: string | Binary): Promise<PublicIdentity>;
  /**
   * "hopseal1_" and some 2,000 letters, digits, "-" and "_": for links, messages, copy and paste. It fits a
   * QR code of level L, which holds 2,953 bytes. It proves nothing: people compare the fingerprint.
   */
  encode(): string;
  /** A copy of the encoded form, about 1.5 KB. */
  readonly bytes: Bytes;
  readonly name: string;
  readonly fingerprint: string;
  /** Counts the statements of one root; a higher one replaces a lower. */
  readonly serial: bigint;
  readonly issued: Date;
  readonly expires: Date;
  readonly revoked: boolean;
  toString(): string;
  toJSON(): string;
}

export type Role = "server" | "client" | "member";

/** What was meant to be reached: an address or a room, never a name that a peer gives itself. */
export interface Expected {
  address?: string;
  room?: string;
  role?: Role;
  /** The root that it must have. */
  fingerprint?: string;
}

/**
 * The peers that the user admitted, each for the address or room that it was admitted for.
 *
 * ```js
 * const peers = await KnownPeers.create();
 * const peer = await PublicIdentity.parse(bytes); // what bob handed over
 * await peers.admit({ room: "garden" }, peer);    // after the two compared fingerprints
 * await peers.verify({ room: "garden" }, peer);   // from now on: rejects unless it is bob
 * ```
 */
export class KnownPeers {
  private constructor();
  static create(): Promise<KnownPeers>;
  /** Rejects with "invalid". */
  static parse(bytes: Binary): Promise<KnownPeers>;
  /**
   * Resolves for a peer that was admitted for what is expected. Rejects with
   * "trust-unknown", "trust-changed", "trust-revoked", "trust-expired",
   * "trust-not-yet-valid" or "trust-rolled-back".
   */
  verify(expected: Expected, peer: PublicIdentity): Promise<void>;
  /**
   * Records that the user compared the fingerprint and means this peer. In a room
   * there may be many; for an address it takes the place of the one before.
   */
  admit(expected: Expected, peer: PublicIdentity): Promise<void>;
  forget(expected: Expected, fingerprint: string): Promise<void>;
  /**
   * Takes in a revocation, a PublicIdentity that is `revoked`: its root is never trusted
   * again, known or not. For what a person or your own service hands over: strangers could
   * fill the list, which holds 10,000. Rejects with "bad-argument".
   */
  revoke(revocation: PublicIdentity): Promise<void>;
  /** The fingerprints admitted for this address or room. */
  admitted(expected: Expected): Promise<string[]>;
  /** For storage. No secret in it, but whoever changes it changes whom the user trusts. */
  bytes(): Promise<Bytes>;
  close(): void;
}

/** Remembers which messages were opened. One serves everything that one identity opens. */
export class ReplayGuard {
  private constructor();
  /**
   * An empty one. Make it once for an identity, not for each message: a new one
   * knows nothing of what others have opened. The first for an `identity`, or a
   * `shared` keyset, that this page has generated opens whatever is sealed to it, and
   * nothing under other keys: `open` rejects with "bad-argument". Any other refuses messages dated up to five minutes from now: an earlier page may have
   * opened them, and senders' clocks may be ahead by that. So keep the guard with the
   * identity (`store.save`), and that of a keyset, as `bytes()`, with the keyset.
   */
  static create(options?: { identity?: Identity; shared?: undefined } | { shared: SharedKeyset; identity?: undefined }): Promise<ReplayGuard>;
  /** Reads what `bytes()` gave. Rejects with "invalid". */
  static parse(bytes: Binary): Promise<ReplayGuard>;
  /** For storage, before a message that was opened is acted on. */
  bytes(): Promise<Bytes>;
  close(): void;
}

/** What a `ReplayCache` is asked about. */
export interface ReplayClaim {
  /** Names the message, its sender and its receiver: 64 hex digits. */
  readonly key: string;
  /** When the claim may be forgotten: nobody accepts the message after it. */
  readonly until: Date;
  readonly header: Header;
}

/**
 * Remembers which messages were opened, for several processes: over Redis, say. A
 * `ReplayGuard` is the one in memory.
 */
export interface ReplayCache {
  /**
   * Records, in one atomic step, that a genuine message is being opened. true: no call
   * before this one claimed the same key, and the message opens. false: it was opened
   * before. Keep the key until `until` by the cache's own clock, and give false once
   * that has passed. Anything else that it gives, a rejection, and ten seconds without
   * an answer refuse nothing: `open` rejects with "replay-unavailable".
   */
  claim(claim: ReplayClaim, options: { signal: AbortSignal }): Promise<boolean> | boolean;
}

/**
 * Keys that two services share. Whoever holds it can read and write as any party.
 * To move one in or out of the page see "hopseal/insecure-cleartext".
 */
export class SharedKeyset {
  private constructor();
  static generate(): Promise<SharedKeyset>;
  close(): void;
  toString(): string;
  toJSON(): string;
}

interface SealCommon {
  /** What the message is for: whoever opens it must expect the same. Visible, at most 1,024 bytes. */
  context?: string;
  /** What the plaintext is. Visible, at most 128 bytes. */
  contentType?: string;
}

/** To public identities, signed. */
export interface SealToRecipients extends SealCommon {
  from: Identity;
  /** 1 to 1,000, each once. */
  to: readonly PublicIdentity[];
  shared?: undefined;
  party?: undefined;
  toParty?: undefined;
}
/** Under a shared keyset, with an HMAC. */
export interface SealShared extends SealCommon {
  shared: SharedKeyset;
  /** The sender's name among the holders. */
  party: string;
  /** Whom the message is for among them. */
  toParty: string;
  from?: undefined;
  to?: undefined;
}
/** Under a shared keyset, signed. */
export interface SealSharedSigned extends SealCommon {
  shared: SharedKeyset;
  from: Identity;
  /** Whom the message is for among the holders. */
  toParty: string;
  party?: undefined;
  to?: undefined;
}
export type SealOptions = SealToRecipients | SealShared | SealSharedSigned;

/**
 * Seals one message of at most 64 MiB: text, as UTF-8, or bytes. Sealing or opening one of that size takes some
 * 500 MB for a moment.
 *
 * ```js
 * const sealed = await seal("hello", { from: me, to: [bob], context: "chat/1" });
 * const file = new Blob([sealed]);
 * ```
 *
 * Rejects with "bad-argument", "too-large", "seal-failed" or "identity-expired".
 *
 * @see https://github.com/hopseal/hopseal/blob/main/docs/browser.md#seal-failed
 */
export function seal(plaintext: Data, options: SealOptions): Promise<Bytes>;

interface OpenCommon {
  /** Must equal the sealer's. */
  context?: string;
  replay: ReplayGuard | ReplayCache;
  /**
   * How long ago the message may have been sealed, in milliseconds: as long as it may
   * wait in a queue. Default: five minutes; at most 30 days. All that share a cache
   * have the same.
   */
  maxAge?: number;
  /** Ends the wait for a `ReplayCache`: `open` then rejects with "replay-unavailable". */
  signal?: AbortSignal;
}
export interface OpenFromSender extends OpenCommon {
  /** Who opens. Its own messages, returned, are refused. */
  identity: Identity;
  /** The expected sender, trusted already. */
  from: PublicIdentity;
  shared?: undefined;
  party?: undefined;
  fromParty?: undefined;
}
export interface OpenShared extends OpenCommon {
  shared: SharedKeyset;
  party: string;
  fromParty: string;
  identity?: undefined;
  from?: undefined;
}
export interface OpenSharedSigned extends OpenCommon {
  shared: SharedKeyset;
  identity: Identity;
  from: PublicIdentity;
  /** One's own name among the holders: the sealer's `toParty`. */
  party: string;
  fromParty?: undefined;
}
export type OpenOptions = OpenFromSender | OpenShared | OpenSharedSigned;

export interface Header {
  readonly suite: "shared" | "shared-signed" | "recipients";
  /** Fingerprint of the signer, null in suite "shared". */
  readonly sender: string | null;
  /** The sender's party name, null but in suite "shared". */
  readonly party: string | null;
  /** Names the key of the body, hex. */
  readonly sealKey: string;
  /** Names the signing key, hex, null in suite "shared". */
  readonly proofKey: string | null;
  /** 32 hex digits. */
  readonly id: string;
  readonly time: Date;
  readonly contentType: string;
  readonly context: string;
}

/**
 * Opens one message. Every failure that a message can cause rejects with
 * "open-failed" and one text; `error.reason` is for the local user only.
 * "replay-unavailable" says that the message was not refused and can be opened later.
 *
 * ```js
 * const { data, header } = await open(sealed, { identity: me, from: bob, context: "chat/1", replay });
 * const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
 * console.log(text, header.time);
 * ```
 *
 * @see https://github.com/hopseal/hopseal/blob/main/docs/browser.md#open-failed
 */
export function open(
  sealed: Binary,
  options: OpenOptions,
): Promise<{ data: Bytes; header: Header }>;

export interface Part {
  readonly name: "framing" | "header" | "recipients" | "body" | "proof";
  /** From the envelope's first byte. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

export interface Inspection {
  readonly header: Header;
  /** Names of the recipients' sealing keys, hex; none in the shared suites. */
  readonly recipients: readonly string[];
  /** In order, covering the whole envelope. */
  readonly parts: readonly Part[];
}

/**
 * What anybody on the way sees of an envelope. Nothing in it is authenticated.
 * Rejects with "open-failed" for what is not well formed.
 *
 * ```js
 * const { header, parts } = await inspect(sealed);
 * console.log(header.sender, parts.map(({ name, size }) => `${name}: ${size} bytes`));
 * ```
 */
export function inspect(sealed: Binary): Promise<Inspection>;

export interface Member {
  /** Given by the relay, 32 hex digits. */
  readonly id: string;
  readonly name: string;
  /** Whatever that member announced: here, by custom, its public identity. */
  readonly presence: Bytes;
}

export type RelayEvent =
  | ({ readonly type: "entered"; readonly topic: string } & Member)
  | { readonly type: "left"; readonly topic: string; readonly id: string }
  | { readonly type: "message"; readonly topic: string; readonly from: string; readonly payload: Bytes }
  /** The relay refused something other than a join, such as a message to a topic that it thinks was left. */
  | { readonly type: "refused"; readonly topic: string; readonly error: HopsealError }
  | RelayClosed;

/** The last event. `error` is null when the caller closed. */
export interface RelayClosed {
  readonly type: "closed";
  readonly error: HopsealError | null;
}

/** The part of the WebSocket interface that is used, for environments without a global one. */
export interface WebSocketConstructor {
  new (url: string): any;
}

export interface RelayOptions {
  /** Ends connecting, not the connection. */
  signal?: AbortSignal;
  /** Default: the global one. */
  WebSocket?: WebSocketConstructor;
}

/**
 * A connection to a relay, which is not trusted: names, ids, presence and payloads
 * are whatever it says. Seal what you publish.
 *
 * Events wait in a bounded queue until they are taken; when it is full the
 * connection is given up with "relay-overflow".
 */
export class RelayClient implements AsyncIterable<RelayEvent> {
  private constructor();
  /** ws:, wss:, http: and https: URLs. Rejects with "relay-unreachable" or "aborted". */
  static connect(url: string | Platform<"URL">, options?: RelayOptions): Promise<RelayClient>;
  /**
   * Resolves with one's own id and the members that were there before. Rejects with
   * "relay-name-taken", "relay-full", "relay-too-large", "relay-bad-name",
   * "relay-bad-topic", "relay-refused" or "relay-closed".
   */
  join(topic: string, name: string, presence: Binary): Promise<{ id: string; members: Member[] }>;
  leave(topic: string): Promise<void>;
  /** Resolves when the socket has taken the message, with at most 1 MiB waiting in it. */
  publish(topic: string, payload: Binary): Promise<void>;
  /** Never rejects: resolves with what ended the connection. */
  readonly closed: Promise<RelayClosed>;
  close(): void;
  /** One reader. Ends after the event "closed". Leaving the loop early does not close. */
  [Symbol.asyncIterator](): AsyncIterator<RelayEvent>;
}
