// Connections. JavaScript owns the socket: a WebSocket, or whatever carries messages and is given as
// { send, close, onmessage, onclose }. The core has the other half, wasm/internal/core/conn.go.
import { urlOf } from "./args.js";
import { badArgument, HopsealError } from "./errors.js";
import { op } from "./ops.js";
import { aborted } from "./async.js";

const maxBuffered = 1 << 20; // in the socket, before the core waits
const drainPoll = 20; // ms; a WebSocket does not say when it has drained
const reportAfter = 64 << 10; // bytes that were sent are reported in one go
const maxUnread = 128 << 10; // bytes that come in before the core reads them; a message counts 2 KiB at least
const closePatience = 5500; // ms, for a close to be confirmed
const [normal, tooOdd, lost, failed] = [1000, 1003, 1006, 1011];

// A page may close with 1000 and 3000 to 4999 only. Other codes travel as 4900 and their distance from
// 1000 (transport/code.go).
const mapped = 4900;
const toPeer = (code) => (code === normal || code >= 3000 ? code : mapped + code - normal);
const fromPeer = (code) => (code > mapped && code <= mapped + 14 ? code - mapped + normal : code);

// attach makes a connection of the core of an open link, which it closes where it cannot.
export function attach(core, link, info) {
  try {
    if (![undefined, 1, "open"].includes(link.readyState)) throw new HopsealError("unreachable", "the link is not open");
    return new Socket(core, link, info);
  } catch (error) {
    shut(link, failed, "");
    throw error;
  }
}

// shut closes a link, whatever it makes of that.
function shut(link, code, reason) {
  new Promise((resolve) => resolve(link.close(toPeer(code), reason))).catch(() => {}); // it is closed
}

class Socket {
  #core;
  #link;
  #limit; // bytes in a message that comes in
  #unreported = 0; // bytes sent
  #polls = false;
  #unread = 0; // bytes that came in
  #open = true;

  constructor(core, link, { kind, remote, limit, most }) {
    this.#core = core;
    this.#link = link;
    this.#limit = limit;
    this.handle = core.call(op.connOpen, [kind, remote, limit, most]).number();
    core.turns.addSocket(this.handle, this);
    try {
      if ("binaryType" in link) link.binaryType = "arraybuffer";
      link.onmessage = (message) => this.#receive(message);
      link.onclose = (why) => this.#closed(fromPeer(why?.code), why?.reason);
      link.onerror = () => {}; // a close follows
    } catch (error) {
      this.#closed(lost);
      throw error;
    }
  }

  #receive(message) {
    if (!this.#open) return;
    const bytes = bytesIn(message?.data ?? message);
    if (!bytes) return this.#refuse();
    this.#tell(op.connReceived, bytes.subarray(0, this.#limit + 1)); // what is longer is refused inside
    this.#unread += Math.max(bytes.length, 2 << 10);
    if (this.#unread < maxUnread) return;
    this.#unread = 0;
    this.#core.turns.now();
  }

  // refuse ends a connection on which text came: a hop may send any.
  #refuse() {
    shut(this.#link, tooOdd, "only binary messages are accepted");
    this.#closed(tooOdd, "text");
  }

  send(bytes) {
    if (!this.#open) return;
    try {
      const sent = this.#link.send(bytes);
      if (typeof sent?.then === "function") sent.then(() => this.#sent(bytes.length), () => this.#fail());
      else this.#report(bytes.length);
    } catch {
      this.#fail(); // the core dials again
    }
  }

  // report tells what was sent, once the socket has room for more.
  #report(bytes = 0) {
    this.#unreported += bytes;
    if (!this.#open || this.#unreported < reportAfter || this.#polls) return;
    if (this.#link.bufferedAmount > maxBuffered) {
      this.#polls = true;
      setTimeout(() => {
        this.#polls = false;
        try {
          this.#report();
        } catch {
          this.#fail();
        }
      }, drainPoll);
      return;
    }
    const sent = this.#unreported;
    this.#unreported = 0;
    this.#sent(sent);
  }

  #sent(bytes) {
    if (this.#open) this.#tell(op.connSent, bytes);
  }

  close(code, reason) {
    if (!this.#open) return;
    shut(this.#link, code, reason);
    setTimeout(() => this.#closed(lost), closePatience)?.unref?.();
  }

  #fail() {
    shut(this.#link, failed, "");
    this.#closed(lost);
  }

  #closed(code, reason) {
    if (!this.#open) return;
    this.#open = false;
    this.#core.turns.removeSocket(this.handle);
    const known = Number.isInteger(code) && code >= 0 && code <= 0xffff;
    this.#tell(op.connClosed, known ? code : lost, typeof reason === "string" ? reason.slice(0, 123) : "");
  }

  #tell(operation, ...values) {
    try {
      if (!this.#core.dead) this.#core.turns.call(operation, [this.handle, ...values]);
    } catch {
      this.#fail(); // memory is short, or the core has died
    }
  }
}

// bytesIn returns the bytes of a message, and null for anything else.
function bytesIn(data) {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Object.prototype.toString.call(data) === "[object ArrayBuffer]" ? new Uint8Array(data) : null;
}

const schemes = { "ws:": "ws:", "wss:": "wss:", "http:": "ws:", "https:": "wss:" };

// targetOf takes a URL apart: where to connect, and what the Verifier is asked about.
export function targetOf(url, what) {
  const parsed = urlOf(url, what);
  const scheme = schemes[parsed.protocol];
  if (!scheme) throw badArgument(`${what} starts with ws: or wss:, not ${parsed.protocol}`);
  const { hostname, port, pathname } = parsed;
  const secure = scheme === "wss:";
  return {
    url: scheme + parsed.href.slice(parsed.protocol.length).replace(/#.*$/, ""),
    kind: secure ? "wss" : "ws",
    address: `${hostname}:${port || (secure ? 443 : 80)}${pathname.replace(/\/$/, "").replace(/[|^]/g, encodeURIComponent)}`, // as e2e.Address has it
    place: `${scheme}//${parsed.host}${pathname}`, // no query, no user part: they may hold credentials
  };
}

// dial resolves with an open WebSocket, or rejects with "aborted" or the code of the caller.
export function dial({ url, place }, { WebSocket, protocols = [], signal, code = "unreachable" }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted(signal));
    let socket;
    try {
      socket = new WebSocket(url, protocols);
    } catch (cause) {
      return reject(new HopsealError(code, `the browser refuses to connect to ${place}`, { cause }));
    }
    socket.binaryType = "arraybuffer";
    const settle = (finish, value) => {
      socket.onopen = socket.onerror = socket.onclose = null;
      signal?.removeEventListener("abort", abort);
      finish(value);
    };
    const abort = () => {
      settle(reject, aborted(signal));
      socket.onerror = () => {};
      socket.close(normal);
    };
    const fail = () => settle(reject, new HopsealError(code, `${place} does not answer`));
    signal?.addEventListener("abort", abort);
    socket.onopen = () => settle(resolve, socket);
    socket.onerror = socket.onclose = fail;
  });
}
