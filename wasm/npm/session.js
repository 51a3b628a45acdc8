// Sessions: the Go package e2e, with sockets, storage and callbacks of JavaScript.
import { choiceOf, dataOf, functionOf, numberOf, optionsOf, reading, signalIn, signalOf, tagOf, textOf, wanted } from "./args.js";
import { handleOf, hold, theCore } from "./core.js";
import { badArgument, HopsealError } from "./errors.js";
import { readPublic } from "./keys.js";
import { op } from "./ops.js";
import { openStream, receiveStream } from "./streams.js";

const maxWithCore = 1 << 20; // bytes of sends that the core has and has not done
const maxWaiting = 64 << 20; // bytes of sends that wait in JavaScript
const never = 2 ** 32 - 1; // of a duration
const codes = { done: 0, failed: 2 };

const token = Symbol("hopseal");

export const readSession = (core, key, functions, response) => new Session(token, core, key, functions, response);

export class Session extends EventTarget {
  #core;
  #key;
  #functions;
  #state = "secure";
  #info;
  #ended = null; // the error that says how
  #closing = false;
  #serves = false;
  #sends = []; // those that wait for the core
  #withCore = 0;
  #waiting = 0;
  #receivers = [];
  #receiving = false;
  #unclaimed = []; // a message whose receiver has gone

  constructor(given, core, key, functions, response) {
    if (given !== token) throw badArgument("a Session is not made with new: use connect()");
    super();
    this.#core = core;
    this.#key = key;
    this.#functions = functions;
    hold(this, response.number(), core);
    Object.defineProperty(this, "restored", { value: response.number() === 1, enumerable: true });
    this.#info = readInfo(response);
    this.addEventListener("state", ({ detail }) => (this.#state = detail.state));
    const closed = this.#begin(op.sessionEnded).catch((error) => this.#end(error));
    Object.defineProperty(this, "closed", { value: closed, enumerable: true });
  }

  get state() {
    return this.#ended ? "closed" : this.#state;
  }

  get id() {
    return this.#info.id;
  }

  get peer() {
    return this.#info.peer;
  }

  async info() {
    const info = await this.#begin(op.sessionInfo, [], { read: readInfo });
    this.#info = info;
    return info;
  }

  async stats() {
    return this.#begin(op.sessionStats, [], { read: readStats });
  }

  async send(data, options) {
    await this.#post("", data, options);
  }

  async sendMessage(type, data, options) {
    return this.#post(textOf(type, "type"), data, options);
  }

  async call(type, data, options) {
    const signal = signalIn(options);
    const values = [textOf(type, "type"), dataOf(data, "data")];
    return this.#begin(op.sessionCall, values, { signal, read: (response) => new Payload(response.bytes()) });
  }

  async receive(options) {
    const signal = signalIn(options);
    if (signal?.aborted) throw aborted(signal);
    return new Promise((resolve, reject) => {
      const receiver = { resolve, reject };
      const leave = () => {
        this.#receivers = this.#receivers.filter((other) => other !== receiver);
        reject(aborted(signal));
      };
      signal?.addEventListener("abort", leave, { once: true });
      receiver.done = () => signal?.removeEventListener("abort", leave);
      this.#receivers.push(receiver);
      this.#receive();
    });
  }

  // The loop ends where an end has closed the session and nothing is missing, and throws otherwise.
  async *[Symbol.asyncIterator]() {
    for (;;) {
      try {
        yield await this.receive();
      } catch (error) {
        if (complete(error)) return;
        throw error;
      }
    }
  }

  async serve(handlers, options) {
    const { concurrent = 0, timeout = 0, signal, onerror = report } = optionsOf(options, ["concurrent", "timeout", "signal", "onerror"]);
    const handle = typeof handlers === "function" ? handlers : route(handlers);
    const fields = [numberOf(concurrent, "concurrent", 2 ** 31 - 1), numberOf(timeout, "timeout", 2 ** 31 - 1)];
    functionOf(onerror, "onerror");
    signalOf(signal);
    this.#functions.request = (content, options) => answerTo(content, options, handle, onerror);
    this.#serves = true;
    try {
      await this.#begin(op.sessionServe, [this.#key, ...fields], { signal });
    } catch (error) {
      if (!complete(error)) throw error;
    } finally {
      this.#serves = false;
      this.#forget();
    }
  }

  async flush(options) {
    const signal = signalIn(options);
    await this.#inTurn(0, () => this.#begin(op.sessionFlush, [], { signal }));
  }

  // close lets sends before it happen first, for as long as its signal, or else a few seconds, allow.
  async close(options) {
    const { code = "done", signal } = optionsOf(options, ["code", "signal"]);
    signalOf(signal);
    const number = codes[choiceOf(code, "code", Object.keys(codes))];
    if (this.#ended) {
      if (this.#ended.reason === "closed") return;
      throw this.#ended;
    }
    this.#closing = true;
    await Promise.race([this.#inTurn(0, async () => {}), over(signal)]);
    await this.#begin(op.sessionClose, [number, signal ? never : closePatience], { signal, anyway: true });
  }

  async openStream(type, options) {
    const { data = "", signal, onprogress } = optionsOf(options, ["data", "signal", "onprogress"]);
    if (onprogress !== undefined) functionOf(onprogress, "onprogress");
    signalOf(signal);
    const fields = [textOf(type, "type"), dataOf(data, "data")];
    return openStream(this.#core, handleOf(this, Session, "this"), ...fields, { signal, onprogress });
  }

  async receiveStream(options) {
    return receiveStream(this.#core, handleOf(this, Session, "this"), { signal: signalIn(options) });
  }

  // Ends as the loop over messages does.
  async *streams() {
    for (;;) {
      try {
        yield await this.receiveStream();
      } catch (error) {
        if (complete(error)) return;
        throw error;
      }
    }
  }

  async renew(options) {
    await this.#begin(op.sessionRenew, [], { signal: signalIn(options) });
  }

  async recheck(options) {
    await this.#begin(op.sessionRecheck, [], { signal: signalIn(options) });
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  get [Symbol.toStringTag]() {
    return "Session";
  }

  toString() {
    return `Session(${this.#info.id} with ${this.peer.fingerprint})`;
  }

  #begin(operation, values = [], options) {
    return this.#core.turns.begin(operation, [handleOf(this, Session, "this"), ...values], options);
  }

  async #post(type, data, options) {
    const signal = signalIn(options);
    const bytes = dataOf(data, "data");
    if (this.#closing) throw this.#ended ?? new HopsealError("closed", "the session is being closed");
    const read = (response) => response.bigint();
    return this.#inTurn(bytes.length, () => this.#begin(op.sessionSend, [type, bytes], { signal, read }));
  }

  // inTurn starts what sends in the order of the calls, once the core has room.
  #inTurn(size, start) {
    if (this.#waiting + size > maxWaiting) {
      return Promise.reject(new HopsealError("session-overflow", "more is being sent than the other end takes"));
    }
    this.#waiting += size;
    return new Promise((resolve, reject) => {
      this.#sends.push({ size, start, resolve, reject });
      this.#pump();
    });
  }

  #pump() {
    while (this.#sends.length > 0) {
      const { size, start, resolve, reject } = this.#sends[0];
      if (this.#withCore > 0 && this.#withCore + size > maxWithCore) return;
      this.#sends.shift();
      this.#withCore += size;
      start()
        .finally(() => {
          this.#withCore -= size;
          this.#waiting -= size;
          this.#pump();
        })
        .then(resolve, reject);
    }
  }

  // receive has one message fetched at a time: with a store, asking for one says that those before are done.
  #receive() {
    while (this.#unclaimed.length > 0 && this.#receivers.length > 0) this.#give("resolve", this.#unclaimed.shift());
    if (this.#receivers.length === 0 || this.#receiving) return;
    this.#receiving = true;
    this.#begin(op.sessionReceive, [], { read: (response) => new Message(response) })
      .finally(() => (this.#receiving = false))
      .then(
        (message) => {
          this.#unclaimed.push(message);
          this.#receive();
        },
        (error) => {
          while (this.#receivers.length > 0) this.#give("reject", error);
        },
      );
  }

  #give(how, what) {
    const receiver = this.#receivers.shift();
    receiver.done();
    receiver[how](what);
  }

  #end(error) {
    this.#ended = error;
    this.#forget();
    return Object.freeze({ reason: error.reason ?? error.code, error, ...error.close });
  }

  // forget lets go of the functions, which nobody asks any more.
  #forget() {
    if (this.#ended && !this.#serves) this.#core.turns.unregister(this.#key);
  }
}

// complete reports whether a session ended because an end had no more to say.
const complete = ({ code, reason }) => code === "session-closed" && (reason === "peer_closed" || reason === "closed");

const closePatience = 5000; // ms

// over resolves once the signal has aborted, or after a few seconds where there is none.
const over = (signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) resolve();
    else if (signal) signal.addEventListener("abort", resolve, { once: true });
    else setTimeout(resolve, closePatience)?.unref?.();
  });

function aborted(signal) {
  return new HopsealError("aborted", "it was aborted", { cause: signal.reason });
}

// A Payload is bytes with ways to read them.
export class Payload {
  data;

  constructor(data) {
    this.data = data;
  }

  bytes() {
    return this.data;
  }

  text() {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.data);
  }

  json() {
    return JSON.parse(this.text());
  }
}

export class Message extends Payload {
  constructor(response) {
    const [type, id, time, data, proof] = [response.text(), response.bigint(), response.date(), response.bytes(), response.bytes()];
    super(data);
    Object.assign(this, { type, id, time, proof: proof.length > 0 ? proof : null });
  }
}

function readInfo(response) {
  const [id, protocol, maxMessage] = [response.text(), response.text(), response.number()];
  const [hopTLS, kind, remote] = [response.text(), response.text(), response.text()];
  return Object.freeze({ id, protocol, maxMessage, hopTLS, kind, remote, peer: readPublic(response) });
}

const figures = [
  "messagesSent",
  "messagesReceived",
  "bytesSent",
  "bytesReceived",
  "messagesRefused",
  "messagesTurnedDown",
  "unacked",
  "resent",
  "resumes",
  "rekeys",
];

const readStats = (response) => Object.fromEntries(figures.map((name) => [name, Number(response.bigint())]));

// readEvent reads an event of a session: that it has entered a state, or that a message was refused.
export function readEvent(content) {
  const [state, id, kind, remote, missed] = [content.text(), content.text(), content.text(), content.text(), content.number()];
  const error = content.more ? theCore().asError(content) : null;
  return state === "refused" ? { type: state, id, error } : { type: "state", state, id, kind, remote, missed, error };
}

// Requests.

const refusals = { type: 1, unauthorized: 2, failed: 3, busy: 4, value: 5 };

function route(handlers) {
  if (tagOf(handlers) !== "Object") throw wanted("handlers", "a function, or an object with one for each type", handlers);
  const byType = optionsOf(handlers, reading("handlers", () => Object.keys(handlers)), "handlers");
  for (const type in byType) functionOf(byType[type], `handlers[${JSON.stringify(type)}]`);
  return (message, options) => {
    if (!byType[message.type]) throw refuse("type");
    return byType[message.type](message, options);
  };
}

// refuse returns what a handler throws to refuse a message, and reply one that the other end learns.
export function refuse(reason) {
  choiceOf(reason, "reason", Object.keys(refusals));
  return new HopsealError("refused", `this end refuses the message: ${reason}`, { reason });
}

export function reply(code, text) {
  return new HopsealError("reply", textOf(text, "text"), { details: { reply: numberOf(code, "code", 0xffff) } });
}

// answerTo has a handler serve one message.
async function answerTo(content, { signal }, handle, onerror) {
  const oneWay = content.number() === 1;
  const message = new Message(content);
  try {
    const answer = await handle(message, { signal, oneWay });
    return [0, answer === undefined || oneWay ? new Uint8Array(0) : dataOf(answer, "the handler's answer")];
  } catch (error) {
    if (error?.code === "reply" && Number.isInteger(error.reply)) return [2, error.reply, error.message];
    if (error?.code === "refused" && Object.hasOwn(refusals, error.reason)) return [1, refusals[error.reason]];
    quietly(() => onerror(error, message));
    return [1, refusals.failed];
  }
}

export function report(error) {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}

// quietly keeps what a function of the page throws from the core.
export function quietly(run) {
  try {
    run();
  } catch (error) {
    report(error);
  }
}
