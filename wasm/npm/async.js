// What waits. An operation that waits gets a ticket; the core does it in a goroutine and tells the
// result later, in a notice. A goroutine that needs something of JavaScript asks in a notice.
// wasm/internal/core/async.go has the other side.
//
// Goroutines run in turns: in a microtask after the calls that gave them something to do.
import { HopsealError, wrap } from "./errors.js";
import { op } from "./ops.js";

const [done, failed, ask, unask, frame, close, event] = [1, 2, 3, 4, 5, 6, 7];
const maxBegun = 512; // operations that wait for a turn: with many goroutines to begin, each takes long
const maxTickets = 1 << 16; // each is a goroutine, in memory that does not shrink

export class Turns {
  #core;
  #planned = false; // a turn is
  #turning = false;
  #begun = 0; // operations since the last turn
  #resumes = false; // goroutines have something to do
  #alive = null; // a timer that keeps Node from ending while something waits
  #last = 0;
  #tickets = new Map(); // ticket -> { resolve, reject, read, leave }
  #questions = new Map(); // id -> AbortController
  #callbacks = new Map(); // key -> the functions of a session or a server
  #sockets = new Map(); // connection handle -> { send, close }

  constructor(core) {
    this.#core = core;
  }

  // number returns one that was not given out before.
  number() {
    return ++this.#last;
  }

  // register keeps functions under a key, until unregister.
  register(functions) {
    const key = this.number();
    this.#callbacks.set(key, functions);
    return key;
  }

  unregister(key) {
    this.#callbacks.delete(key);
  }

  addSocket(handle, socket) {
    this.#sockets.set(handle, socket);
  }

  removeSocket(handle) {
    this.#sockets.delete(handle);
  }

  // begin starts an operation and returns a promise of what read makes of its result.
  // One that is to be done anyway is begun where the signal has aborted before, and told so.
  begin(operation, values, { signal, anyway = false, read = () => {} } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted && !anyway) throw aborted(signal);
      if (this.#tickets.size >= maxTickets) throw new HopsealError("too-many", "too much is under way: await what was begun");
      const ticket = this.number();
      this.call(operation, [ticket, signal ? 1 : 0, ...values]);
      const refuse = (error) => reject(error.code === "aborted" && signal?.aborted ? aborted(signal) : error);
      const entry = { resolve, reject: refuse, read, leave: () => {} };
      this.#alive ??= setInterval(() => {}, 2 ** 30);
      this.#tickets.set(ticket, entry);
      if (++this.#begun >= maxBegun) this.now();
      entry.leave = onAbort(signal, () => quietly(() => this.#core.dead || this.call(op.cancel, [ticket])));
    });
  }

  // call calls an operation that gives goroutines something to do.
  call(operation, values) {
    const response = this.#core.call(operation, values);
    this.#resumes = true;
    this.#plan();
    return response;
  }

  // woken says that the core has notices.
  woken() {
    this.#plan();
  }

  // now runs a turn at once, unless one runs: a socket may bring more than waits well.
  now() {
    if (!this.#turning) this.#turn();
  }

  #plan() {
    if (this.#planned) return;
    this.#planned = true;
    soon(() => this.#turn());
  }

  #turn() {
    this.#planned = false;
    if (this.#core.dead) return;
    this.#turning = true;
    this.#begun = 0;
    try {
      if (this.#resumes) {
        this.#resumes = false;
        this.#core.resume();
      }
      for (let notices; (notices = this.#core.call(op.take, [])).more; ) {
        while (notices.more) {
          const [kind, id, content] = [notices.number(), notices.number(), notices.inner()];
          quietly(() => this.#notice(kind, id, content)); // the others are for somebody else
        }
        notices.wipe();
      }
    } catch (error) {
      if (error.code !== "core-dead") throw error; // whose death has told everybody
    } finally {
      this.#turning = false;
    }
  }

  #notice(kind, id, content) {
    switch (kind) {
      case done:
        return this.#settle(id, (ticket) => ticket.resolve(ticket.read(content)));
      case failed:
        return this.#settle(id, (ticket) => ticket.reject(this.#core.asError(content)));
      case ask:
        return void this.#answer(id, content);
      case unask:
        return this.#questions.get(id)?.abort(new HopsealError("aborted", "nobody waits for it any more"));
      case frame:
        return this.#sockets.get(id)?.send(content.rest());
      case close:
        return this.#sockets.get(id)?.close(content.number(), content.text());
      case event:
        return this.#callbacks.get(id)?.event(content);
    }
  }

  #settle(id, settle) {
    const ticket = this.#tickets.get(id);
    if (!ticket) return; // the core has died meanwhile
    this.#tickets.delete(id);
    this.#rest();
    try {
      settle(ticket);
    } catch (error) {
      ticket.reject(error);
    }
    ticket.leave();
  }

  #rest() {
    if (this.#tickets.size > 0) return;
    clearInterval(this.#alive);
    this.#alive = null;
  }

  async #answer(id, content) {
    const functions = this.#callbacks.get(content.number());
    const which = questions[content.number()];
    const stop = new AbortController();
    this.#questions.set(id, stop);
    let answer;
    let unused = () => {};
    try {
      if (!functions) throw new HopsealError("closed", "nobody answers any more");
      const given = await functions[which](content, { signal: stop.signal });
      answer = [1, ...given];
      unused = given.unused ?? unused; // what to do where nobody takes the answer
    } catch (error) {
      answer = failure(which, error);
    }
    this.#questions.delete(id);
    if (!this.#taken([id, ...answer])) quietly(unused);
  }

  #taken(answer) {
    try {
      return this.call(op.answer, answer).number() === 1;
    } catch {
      return false; // the core has died
    }
  }

  // die ends all that waits.
  die(error) {
    for (const ticket of this.#tickets.values()) {
      ticket.reject(error);
      ticket.leave();
    }
    for (const stop of this.#questions.values()) stop.abort(error);
    for (const socket of this.#sockets.values()) socket.close(1011, "");
    this.#tickets.clear();
    this.#rest();
    this.#questions.clear();
    this.#sockets.clear();
    this.#callbacks.clear();
  }
}

// The functions that the core asks, by number, as in wasm/internal/core/sessionconfig.go.
const questions = [
  null,
  "dial",
  "verify",
  "credentials",
  "authenticate",
  "session",
  "request",
  "get",
  "put",
  "delete",
  "keys",
];

// failure says that a callback has failed. Only a few codes mean something to the core; others, such as
// the "core-dead" of an older core, would be taken for the core's own.
const codes = /^(trust-[a-z-]+|credentials|credentials-expired)$/;

function failure(which, error) {
  try {
    const { code, message } = wrap("callback", `${which} failed: ${error?.message ?? error}`, error);
    return [0, codes.test(code) ? code : "callback", String(message).slice(0, 1000)];
  } catch {
    return [0, "callback", `${which} failed`]; // with something that cannot be read
  }
}

export function aborted(signal) {
  return new HopsealError("aborted", "it was aborted", { cause: signal.reason });
}

// onAbort runs something once the signal aborts, at once if it has, and returns how to stop listening.
export function onAbort(signal, run) {
  if (signal?.aborted) run();
  signal?.addEventListener("abort", run);
  return signal ? () => quietly(() => signal.removeEventListener("abort", run)) : () => {};
}

export function report(error) {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

// quietly runs a function of the page, or what runs one, and reports what it throws, or its promise
// rejects with.
export function quietly(run) {
  new Promise((resolve) => resolve(run())).catch(report);
}

// Microtasks that follow each other keep the page from everything else. So turns that have taken
// longer than a slice let it have its own first.
const slice = 8; // ms
let began = null; // when the turns since the last task of the page began

function soon(run) {
  const now = performance.now();
  if (began === null) {
    began = now;
    task(() => (began = null));
  }
  if (now - began < slice) return queueMicrotask(run);
  task(run);
}

const tasks = [];
let port = null; // of a MessageChannel: a timer would take 4 ms

function task(run) {
  if (globalThis.setImmediate) return void setImmediate(run);
  if (!globalThis.MessageChannel) return void setTimeout(run); // in jsdom
  port ??= takingTasks();
  tasks.push(run);
  port.postMessage(null);
}

function takingTasks() {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => tasks.shift()();
  return port2;
}
