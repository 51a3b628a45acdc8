// Sessions: the Go package e2e, with sockets, storage and callbacks of JavaScript.
import { choiceOf, dataOf, functionOf, numberOf, optionsOf, reading, signalIn, signalOf, tagOf, textOf, wanted } from "./args.js";
import { aborted, onAbort, quietly, report } from "./async.js";
import { handleOf, hold } from "./core.js";
import { badArgument, HopsealError } from "./errors.js";
import { readPublic } from "./keys.js";
import { Line } from "./line.js";
import { op } from "./ops.js";
import { openStream, receiveStream } from "./streams.js";

const sendsWithCore = 1 << 20; // bytes that the core has and has not done
const callsWithCore = 8 << 20; // with no answer yet
const never = 2 ** 32 - 1; // of a duration
const codes = { done: 0, failed: 2 };

const token = Symbol("hopseal");

// readSession makes a Session, which calls over once it has ended.
export const readSession = (core, response, over) => new Session(token, core, response, over);

export class Session extends EventTarget {
  #core;
  #state = "secure";
  #info;
  #ended = null; // the error that says how
  #closing = false;
  #sends = new Line(sendsWithCore);
  #calls = new Line(callsWithCore);
  #receivers = new Set();
  #fetching = false; // the core has a receive, which stays when its receiver goes: a context that ends costs the connection
  #unclaimed = new Set(); // messages whose receivers have gone
  #serving = null; // takes these

  constructor(given, core, response, over) {
    if (given !== token) throw badArgument("a Session is not made with new: use connect()");
    super();
    this.#core = core;
    hold(this, response.number(), core);
    Object.defineProperty(this, "restored", { value: response.number() === 1, enumerable: true });
    this.#info = readInfo(response);
    this.addEventListener("state", ({ detail }) => (this.#state = detail.state));
    const closed = this.#begin(op.sessionEnded).catch((error) => {
      this.#ended = error;
      over();
      return Object.freeze({ reason: error.reason ?? error.code, error, ...error.close });
    });
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
    const [name, bytes] = [textOf(type, "type"), dataOf(data, "data")];
    const read = (response) => new Payload(response.bytes());
    return this.#calls.add(bytes.length, () => this.#begin(op.sessionCall, [name, bytes], { signal, read }), signal);
  }

  async receive(options) {
    const signal = signalIn(options);
    if (signal?.aborted) throw aborted(signal);
    return new Promise((resolve, reject) => {
      const receiver = { resolve, reject };
      receiver.leave = onAbort(signal, () => this.#give(receiver, "reject", aborted(signal)));
      this.#receivers.add(receiver);
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
    let before = null; // those that a receive had fetched, which come first
    const take = (message) => {
      const serve = () => answerTo(message, { signal: new AbortController().signal, oneWay: true }, handle, onerror);
      before = before ? before.then(serve) : serve();
    };
    const request = async (content, { signal }) => {
      const oneWay = content.number() === 1;
      const message = new Message(content);
      if (oneWay) await before;
      return answerTo(message, { signal, oneWay }, handle, onerror);
    };
    const key = this.#core.turns.register({ request });
    this.#serving ??= take;
    try {
      const serving = this.#begin(op.sessionServe, [key, ...fields], { signal });
      this.#claim();
      await serving;
    } catch (error) {
      if (!complete(error)) throw error;
    } finally {
      await before;
      if (this.#serving === take) this.#serving = null;
      this.#core.turns.unregister(key);
    }
  }

  async flush(options) {
    const signal = signalIn(options);
    await this.#sends.add(0, () => this.#begin(op.sessionFlush, [], { signal }), signal);
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
    const until = performance.now() + closePatience;
    await this.#sends.add(0, async () => {}, signal ?? AbortSignal.timeout(closePatience)).catch(() => {});
    const patience = signal ? never : Math.max(0, Math.round(until - performance.now()));
    await this.#begin(op.sessionClose, [number, patience], { signal, anyway: true });
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

  async #begin(operation, values = [], options) {
    return this.#core.turns.begin(operation, [this.#handle(), ...values], options);
  }

  #handle() {
    try {
      return handleOf(this, Session, "this");
    } catch (error) {
      throw this.#ended ?? error; // with the core, or a server's function
    }
  }

  async #post(type, data, options) {
    const signal = signalIn(options);
    const bytes = dataOf(data, "data");
    if (this.#closing) throw this.#ended ?? new HopsealError("closed", "the session is being closed");
    const read = (response) => response.bigint();
    return this.#sends.add(bytes.length, () => this.#begin(op.sessionSend, [type, bytes], { signal, read }), signal);
  }

  // receive has one message fetched at a time: with a store, asking for one says that those before are done.
  async #receive() {
    this.#claim();
    if (this.#receivers.size === 0 || this.#fetching) return;
    this.#fetching = true;
    try {
      await this.#begin(op.sessionReceive, [], { read: (response) => this.#claim(new Message(response)) });
    } catch (error) {
      for (const receiver of this.#receivers) this.#give(receiver, "reject", error);
    }
    this.#fetching = false;
    this.#receive();
  }

  // claim hands messages to who waits for them, in their order.
  #claim(message) {
    if (message) this.#unclaimed.add(message);
    for (const next of this.#unclaimed) {
      const [receiver] = this.#receivers;
      if (!receiver && !this.#serving) return;
      this.#unclaimed.delete(next);
      if (receiver) this.#give(receiver, "resolve", next);
      else this.#serving(next);
    }
  }

  #give(receiver, how, what) {
    receiver.leave();
    this.#receivers.delete(receiver);
    receiver[how](what);
  }
}

// complete reports whether a session ended because an end had no more to say.
const complete = ({ code, reason }) => code === "session-closed" && (reason === "peer_closed" || reason === "closed");

const closePatience = 5000; // ms

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
export function readEvent(core, content) {
  const [state, id, kind, remote, missed] = [content.text(), content.text(), content.text(), content.text(), content.number()];
  const error = content.more ? core.asError(content) : null;
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
async function answerTo(message, options, handle, onerror) {
  try {
    const answer = await handle(message, options);
    return [0, answer === undefined || options.oneWay ? new Uint8Array(0) : dataOf(answer, "the handler's answer")];
  } catch (error) {
    if (error?.code === "reply" && Number.isInteger(error.reply)) return [2, error.reply, String(error.message)];
    if (error?.code === "refused" && Object.hasOwn(refusals, error.reason)) return [1, refusals[error.reason]];
    quietly(() => onerror(error, message));
    return [1, refusals.failed];
  }
}
