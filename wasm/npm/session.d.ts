// Sessions. index.d.ts exports all of this.
import type { Account, Binary, Bytes, Expected, HopsealError, Identity, KnownPeers, PublicIdentity, SharedKeyset } from "./index.js";

/** What is sent: text, as UTF-8, or bytes, which are copied before the call returns. */
export type Data = string | Binary;

/**
 * Decides whether the other end is the one that was meant. Only `true` is a yes. `false`, and an error with
 * a code such as "trust-unknown", are a no. Anything else that it throws is no answer: a new session fails,
 * an open one goes on.
 */
export type VerifierFunction = (
  peer: PublicIdentity,
  expected: Expected,
  options: { signal: AbortSignal },
) => boolean | Promise<boolean>;

/** Whom to trust: who was admitted for the address, exactly these peers, or what a function says. There is no default. */
export type Verifier = Account | KnownPeers | PublicIdentity | readonly PublicIdentity[] | VerifierFunction;

/**
 * Whatever carries binary messages in order: a WebSocket, or an object that calls `onmessage` and `onclose`,
 * which the session sets. `send` may return a promise: then the session waits for it. A connection that is cut
 * and calls `onclose` is replaced by another, if there is a function to get one.
 */
export interface Link {
  send(message: Bytes): unknown;
  close(code?: number, reason?: string): unknown;
  onmessage?: ((message: any) => void) | null;
  onclose?: ((why?: any) => void) | null;
  /** Bytes that were sent and have not left: the session waits while they are more than 1 MiB. */
  readonly bufferedAmount?: number;
}

/** What clients and servers may set. Times are in milliseconds, sizes in bytes; each has a default. */
export interface SessionOptions {
  identity: Identity | Account;
  /** An Account stands for its peers: admit a server for its address, `me.peers.admit(server, { address, role: "server" })`. */
  verifier: Verifier;
  /** What the two applications speak, with its version, such as "echo/1". Both ends say the same. */
  protocol: string;
  /** "ed25519" signs each message, for third parties. Both ends say the same. */
  proof?: "none" | "ed25519";
  /** Accepts a peer that shows this end's own identity. */
  allowSelf?: boolean;
  /** The largest message, sent or received: 1 MiB, at most 256 MiB. */
  maxMessage?: number;
  /** What either end may have under way: 1 MiB. */
  window?: number;
  /** How many calls may wait for their answers: 64. */
  maxCalls?: number;
  /** After how long a silence to ask whether the other end is there: 25,000. Infinity: never. */
  keepAlive?: number;
  handshakeTimeout?: number;
  sendTimeout?: number;
  idleTimeout?: number;
  maxAge?: number;
  /**
   * Keeps sessions, so that they survive a reload: of `openSessionStore()`, or an object of your own together with
   * `storeKeys`. A client names its session, too. A session that is stored has no streams.
   */
  store?: SessionStore | SessionValues;
  /** Seals what is in the store. All that share a store need the same. */
  storeKeys?: SharedKeyset;
}

export interface ConnectOptions extends SessionOptions {
  /** What the verifier is asked about: by default host, port and path of the URL. A link needs one. */
  address?: string;
  /** What to show the server inside the encryption: a token, at most 4,096 bytes, or a function that gives it. */
  credentials?: Data | ((options: { signal: AbortSignal }) => Data | Promise<Data>);
  /** The fingerprint that the server must have, where the verifier would accept several. */
  peerFingerprint?: string;
  /**
   * Names the session in the store. If one is stored under the name, `connect` goes on with it, and takes it over
   * from another page that has it: the session there ends with the reason "fenced".
   */
  name?: string;
  /** How to come back when a connection is lost. */
  retry?: { maxTries?: number; maxTime?: number; base?: number; cap?: number };
  /** Ends connecting, not the session. */
  signal?: AbortSignal;
  /** Called with each state from the first on: "connecting", "handshaking", "secure", "reconnecting", "closed". */
  onstate?: (event: SessionState) => void;
  /** Default: the global one. Node 20 has none. */
  WebSocket?: new (url: string, protocols?: string[]) => any;
  /** WebSocket subprotocols to offer. */
  protocols?: string[];
}

/**
 * Makes a session with a server, at a `ws:` or `wss:` URL or over a link.
 *
 * ```js
 * const session = await connect("wss://example.com/echo", { identity: me, verifier: server, protocol: "echo/1" });
 * await session.send("hello");
 * for await (const message of session) console.log(message.text());
 * ```
 *
 * Rejects with "unreachable", "handshake", a code that begins with "trust-", "identity-expired", "aborted" or
 * "bad-argument". The first dial is made once; once there is a session it dials by itself whenever a connection
 * is lost, for as long as the session may live.
 */
export function connect(target: string | URL | Link | ((options: { signal: AbortSignal }) => Link | Promise<Link>), options: ConnectOptions): Promise<Session>;

export interface SessionState {
  readonly state: "connecting" | "handshaking" | "secure" | "reconnecting" | "closed";
  /** Of the session, "" before there is one. */
  readonly id: string;
  /** "ws", "wss" or "link", and the next hop of the connection, where there is one. */
  readonly kind: string;
  readonly remote: string;
  /** Events before this one that were left out. */
  readonly missed: number;
  /** Why a connection was lost or did not come about, or how the session ended. */
  readonly error: HopsealError | null;
}

export interface SessionInfo {
  /** Names the session in logs, the same at both ends. */
  readonly id: string;
  readonly protocol: string;
  readonly maxMessage: number;
  /** Whether something between terminates TLS: "unknown" in browsers, which do not tell. */
  readonly hopTLS: "unknown" | "unbroken" | "re-terminated";
  readonly kind: string;
  readonly remote: string;
  readonly peer: PublicIdentity;
}

/** How a session ended. */
export interface SessionClosed {
  /** One word: "closed" by this end, "peer_closed" by the other, or what went wrong, such as "lost" or "expired". */
  readonly reason: string;
  readonly error: HopsealError;
  /** Why an end closed it: "done", "going away", "failed", … */
  readonly code?: string;
  readonly remote?: boolean;
  /** Messages that the other end had accepted for sending and that have not come. */
  readonly missing?: number;
  /** The session is in a store and may go on. */
  readonly stored?: boolean;
  /** Which messages of this end are not known to have arrived: `count` of them from number `first` on. */
  readonly gap?: { readonly first: bigint; readonly count: number } | null;
}

export type SessionStats = Readonly<
  Record<
    | "messagesSent"
    | "messagesReceived"
    | "bytesSent"
    | "bytesReceived"
    | "messagesRefused"
    | "messagesTurnedDown"
    | "unacked"
    | "resent"
    | "resumes"
    | "rekeys",
    number
  >
>;

/** Bytes with ways to read them. */
export class Payload {
  protected constructor();
  readonly data: Bytes;
  bytes(): Bytes;
  /** Throws a TypeError where the bytes are not UTF-8. */
  text(): string;
  /** Throws a SyntaxError where the bytes are not JSON. */
  json(): any;
}

export class Message extends Payload {
  private constructor();
  /** What kind of message it is, in the words of the application, "" where nobody said. */
  readonly type: string;
  /** Counts the sender's messages in the session, from 1. */
  readonly id: bigint;
  /** When it was sent, by the sender's clock. */
  readonly time: Date;
  /** Shows to others that the sender has sent it, where messages are signed. */
  readonly proof: Bytes | null;
}

export type Handler = (message: Message, options: { signal: AbortSignal; oneWay: boolean }) => Data | void | Promise<Data | void>;

export interface ServeOptions {
  /** How many requests are served at a time: 64. */
  concurrent?: number;
  /** After how many milliseconds the signal of a handler aborts: a minute. */
  timeout?: number;
  signal?: AbortSignal;
  /** Told of what handlers throw. Default: reportError. */
  onerror?: (error: unknown, message: Message) => void;
}

/** A stream that the other end has begun. Only its end says that it is complete: a stream that was given up errors. */
export interface IncomingStream {
  readonly type: string;
  readonly id: bigint;
  readonly time: Date;
  /** What the sender has put ahead of the stream: a name, a size. */
  readonly data: Bytes;
  readonly readable: ReadableStream<Bytes>;
}

/**
 * One end of a conversation with one authenticated peer. Its connections come and go; messages arrive once and in
 * order. It dispatches "state" and "refused" as CustomEvents.
 */
export class Session extends EventTarget {
  private constructor();
  readonly state: SessionState["state"];
  /** Names the session in logs, the same at both ends. */
  readonly id: string;
  /** Who the other end has proved to be. */
  readonly peer: PublicIdentity;
  /** The session began before this page was loaded. */
  readonly restored: boolean;
  /** Resolves once the session has ended, and never rejects. */
  readonly closed: Promise<SessionClosed>;
  info(): Promise<SessionInfo>;
  stats(): Promise<SessionStats>;
  /**
   * Hands one message to the session, in the order of the calls: it waits while the other end does not keep up.
   * See `flush` for when it has arrived. Rejects with "session-closed", "too-large" or "session-overflow".
   */
  send(data: Data, options?: { signal?: AbortSignal }): Promise<void>;
  /** `send` for a message with a type. Resolves with the message's number, which "refused" names. */
  sendMessage(type: string, data: Data, options?: { signal?: AbortSignal }): Promise<bigint>;
  /** Sends a request and resolves with the answer. Rejects with "refused", "reply", "aborted" or "session-closed". */
  call(type: string, data: Data, options?: { signal?: AbortSignal }): Promise<Payload>;
  /** The next message. A receive that is aborted costs no message. */
  receive(options?: { signal?: AbortSignal }): Promise<Message>;
  /**
   * Has functions serve messages and requests: one by type, or one for all. What they return is the answer. To
   * refuse a message they throw `refuse(reason)`, and `reply(code, text)` for an error that the other end is
   * told. Resolves once the session has been closed by an end that had no more to say.
   */
  serve(handlers: Handler | Readonly<Record<string, Handler>>, options?: ServeOptions): Promise<void>;
  /** Resolves once every message sent before has arrived at the other end's session. */
  flush(options?: { signal?: AbortSignal }): Promise<void>;
  /** Ends the session once everything has arrived. Rejects with "session-closed" where something may be missing. */
  close(options?: { code?: "done" | "failed"; signal?: AbortSignal }): Promise<void>;
  /**
   * Begins a stream of any number of bytes. Closing it completes it, once all has arrived at the other end's
   * session; aborting it, and the signal, give it up. A write waits while the other end does not read.
   */
  openStream(
    type: string,
    options?: { data?: Data; signal?: AbortSignal; onprogress?: (arrived: number) => void },
  ): Promise<WritableStream<Data>>;
  /** The next stream that the other end begins. */
  receiveStream(options?: { signal?: AbortSignal }): Promise<IncomingStream>;
  /** Streams, until an end has closed the session. */
  streams(): AsyncIterableIterator<IncomingStream>;
  /** Shows the other end the identity and credentials of now, and resolves once it has accepted them. */
  renew(options?: { signal?: AbortSignal }): Promise<void>;
  /** Asks the verifier again. */
  recheck(options?: { signal?: AbortSignal }): Promise<void>;
  toString(): string;
  /** Messages, until an end has closed the session. Throws where it ended otherwise. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}

/** What a handler throws to refuse a message. */
export function refuse(reason: "type" | "unauthorized" | "failed" | "busy" | "value"): HopsealError;

/** What a handler throws to answer with an error of the application: `call` there rejects with "reply". */
export function reply(code: number, text: string): HopsealError;

export interface ServerOptions extends SessionOptions {
  /**
   * Decides, after the verifier, what a client may do. `true` lets it in, `{ expires }` for so long; `false` refuses
   * it. After any other error the client is told to try again later.
   */
  authenticate?: (
    peer: PublicIdentity,
    credentials: Bytes,
    options: { signal: AbortSignal },
  ) => boolean | { expires: Date } | Promise<boolean | { expires: Date }>;
  maxSessions?: number;
  maxSessionsPerIdentity?: number;
  maxParked?: number;
  /** How long a session waits for a client that has lost its connection: ten minutes. */
  parkTimeout?: number;
  maxHandshakes?: number;
  maxHandshakesPerAddress?: number;
  /** Told of what the function of a session throws. Default: reportError. */
  onerror?: (error: unknown, session: Session) => void;
}

/**
 * Makes a server that runs a function for each session. When the function returns, the session is closed.
 *
 * ```js
 * const server = createServer({ identity: me, verifier: clients, protocol: "echo/1" }, async (session) => {
 *   for await (const message of session) await session.send(message.data);
 * });
 * new WebSocketServer({ port: 8080 }).on("connection", (socket, request) => {
 *   server.serve(socket, { remote: request.socket.remoteAddress });
 * });
 * ```
 */
export function createServer(
  options: ServerOptions,
  handle: (session: Session, options: { signal: AbortSignal }) => void | Promise<void>,
): Server;

export class Server {
  private constructor();
  /**
   * Takes over a socket that is open: one of the package ws, or any link. Resolves once its session is over, with
   * the error if there was one, and never rejects. `remote` is the client's address, for the limits.
   */
  serve(socket: Link, options?: { remote?: string; kind?: string }): Promise<{ error: HopsealError | null }>;
  /** Closes all sessions and resolves once their functions have returned. */
  shutdown(options?: { signal?: AbortSignal }): Promise<void>;
  stats(): Promise<ServerStats>;
}

export interface ServerStats {
  readonly sessions: number;
  readonly parked: number;
  readonly handshakes: number;
  /** Connections by what became of them, sessions by how they ended. */
  readonly greeted: Readonly<Record<string, number>>;
  readonly ended: Readonly<Record<string, number>>;
}

/** What a session needs of a store of your own. Each key has a value and a version, which counts its values from 1. */
export interface SessionValues {
  /** null for none. It must not be older than the last put or delete that has resolved, in whatever process. */
  get(key: string): Promise<{ value: Bytes; version: number } | null>;
  /** Sets the value and its version, to one more than the given, if it has that now: 0 for none. Resolves with whether it did. */
  put(key: string, value: Bytes, version: number, expires: Date): Promise<boolean>;
  /** Removes the value if it has that version. Resolves with whether it did, or there was none. */
  delete(key: string, version: number): Promise<boolean>;
  keys(): Promise<Iterable<string>>;
}

/** Sessions in the page's IndexedDB, sealed under a keyset that is itself sealed by a key which the browser does not give out. */
export class SessionStore implements SessionValues {
  private constructor();
  readonly keyset: SharedKeyset;
  get(key: string): Promise<{ value: Bytes; version: number } | null>;
  put(key: string, value: Bytes, version: number, expires: Date): Promise<boolean>;
  delete(key: string, version: number): Promise<boolean>;
  keys(): Promise<string[]>;
  close(): void;
}

/**
 * Opens the page's store of sessions. Rejects with "store-unavailable", "store-failed" or "store-damaged".
 *
 * ```js
 * const store = await openSessionStore();
 * const session = await connect(url, { identity: me, protocol: "echo/1", store, name: "main" });
 * ```
 */
export function openSessionStore(options?: { name?: string }): Promise<SessionStore>;
