// What waits. An operation that waits gets a ticket; the core does it in a goroutine and tells the
// result later, in a notice. A goroutine that needs something of JavaScript asks in a notice.
// wasm/internal/core/async.go has the other side.
//
// Goroutines run in turns: in a microtask after the calls that gave them something to do.
import { HopsealError, wrap } from "./errors.js";
import { op } from "./ops.js";

const [done, failed, ask, unask, frame, close, event] = [1, 2, 3, 4, 5, 6, 7];

export class Turns {
  #core;
  #planned = false; // a turn is
  #turning = false;
  #resumes = false; // goroutines have something to do
  #alive = null; // a timer that keeps Node from ending while something waits
  #last = 0;
  #tickets = new Map(); // ticket -> { resolve, reject, read }
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
      const ticket = this.number();
      this.call(operation, [ticket, ...values]);
      const cancel = () => this.call(op.cancel, [ticket]);
      const settle = (finish) => (value) => {
        signal?.removeEventListener("abort", cancel);
        finish(value);
      };
      const refuse = (error) => reject(error.code === "aborted" && signal?.aborted ? aborted(signal) : error);
      this.#alive ??= setInterval(() => {}, 2 ** 30);
      this.#tickets.set(ticket, { resolve: settle(resolve), reject: settle(refuse), read });
      signal?.addEventListener("abort", cancel);
      if (signal?.aborted) cancel();
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
    try {
      if (this.#resumes) {
        this.#resumes = false;
        this.#core.resume();
      }
      for (let notices; (notices = this.#core.call(op.take, [])).more; ) {
        while (notices.more) this.#notice(notices.number(), notices.number(), notices.inner());
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
        return this.#questions.get(id)?.abort();
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
    this.#tickets.delete(id);
    this.#rest();
    try {
      settle(ticket);
    } catch (error) {
      ticket.reject(error);
    }
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
    try {
      if (!functions) throw new HopsealError("closed", "nobody answers any more");
      answer = [1, ...(await functions[which](content, { signal: stop.signal }))];
    } catch (error) {
      const { code, message } = wrap("callback", `${which} failed: ${error?.message ?? error}`, error);
      answer = [0, code, message];
    }
    this.#questions.delete(id);
    if (stop.signal.aborted || this.#core.dead) return;
    this.call(op.answer, [id, ...answer]);
  }

  // die ends all that waits.
  die(error) {
    for (const { reject } of this.#tickets.values()) reject(error);
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

export function aborted(signal) {
  return new HopsealError("aborted", "it was aborted", { cause: signal.reason });
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
