// A connection to a relay. JavaScript owns the socket; the core writes and reads
// the frames. The relay is not trusted, and nothing that it sends throws out of an
// event handler: what is wrong ends the connection with an error that says so.
import { bytesOf, functionOf, optionsOf, signalOf, textOf } from "./args.js";
import { call, theCore } from "./core.js";
import { badArgument, HopsealError, shown, wrap } from "./errors.js";
import { dial, targetOf } from "./link.js";
import { op } from "./ops.js";

const maxWaitingEvents = 1024;
const maxWaitingBytes = 8 << 20; // of events that nobody took, and of messages not handed over
const maxBuffered = 1 << 20; // in the socket, before another message goes in
const drainPoll = 20; // ms; a WebSocket does not say when it has drained
const closeNormally = 1000;

const token = Symbol("hopseal");

export class RelayClient {
  #socket;
  #events = new EventQueue();
  #joining = new Map(); // topic -> { resolve, reject } of join()
  #joined = new Set();
  #handingOver = Promise.resolve();
  #waitingBytes = 0;
  #ended = null; // the event "closed", once there is one
  #resolveClosed;
  #forgetCore;

  constructor(given, socket) {
    if (given !== token) throw badArgument("a RelayClient is not made with new: use connect()");
    this.#socket = socket;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#forgetCore = theCore().onDeath((error) => this.#end(error));
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#end(closedByRelay(event));
    socket.onerror = () => {}; // a close follows and says as much
  }

  static async connect(url, options) {
    const { signal, WebSocket = globalThis.WebSocket } = optionsOf(options, ["signal", "WebSocket"]);
    if (!WebSocket) throw badArgument("there is no WebSocket here: pass one in the options");
    theCore();
    const how = { WebSocket: functionOf(WebSocket, "WebSocket"), signal: signalOf(signal), code: "relay-unreachable" };
    const socket = await dial(targetOf(url, "the relay's address"), how);
    try {
      return new RelayClient(token, socket);
    } catch (error) {
      socket.close(closeNormally); // the core died while we were connecting
      throw error;
    }
  }

  async join(topic, name, presence) {
    this.#checkOpen();
    const frame = encodeFrame(op.relayJoin, textOf(topic, "topic"), textOf(name, "name"), bytesOf(presence, "presence"));
    if (this.#joining.has(topic) || this.#joined.has(topic)) throw badArgument("that topic was joined already");
    const answer = new Promise((resolve, reject) => this.#joining.set(topic, { resolve, reject }));
    answer.catch(() => {}); // whoever awaits it gets it; nobody may, when handing over fails
    try {
      await this.#send(frame);
    } catch (error) {
      this.#joining.delete(topic);
      throw error;
    }
    return answer;
  }

  async leave(topic) {
    const frame = encodeFrame(op.relayLeave, this.#member(topic));
    this.#joined.delete(topic);
    await this.#send(frame);
  }

  async publish(topic, payload) {
    await this.#send(encodeFrame(op.relayPublish, this.#member(topic), bytesOf(payload, "payload")));
  }

  close() {
    this.#end(null);
  }

  [Symbol.asyncIterator]() {
    return { next: () => this.#events.next() };
  }

  #checkOpen() {
    if (this.#ended) throw this.#closedError();
  }

  #member(topic) {
    this.#checkOpen();
    if (!this.#joined.has(textOf(topic, "topic"))) throw badArgument("join that topic first");
    return topic;
  }

  // send hands frames over in the order of the calls.
  async #send(frame) {
    if (this.#waitingBytes + frame.length > maxWaitingBytes) {
      throw new HopsealError("relay-overflow", "more is being published than the relay takes");
    }
    this.#waitingBytes += frame.length;
    const turn = this.#handingOver.then(() => this.#handOver(frame));
    this.#handingOver = turn.catch(() => {});
    try {
      await turn;
    } finally {
      this.#waitingBytes -= frame.length;
    }
  }

  async #handOver(frame) {
    while (!this.#ended && this.#socket.bufferedAmount > maxBuffered) {
      await new Promise((resolve) => setTimeout(resolve, drainPoll));
    }
    this.#checkOpen();
    try {
      this.#socket.send(frame);
    } catch (cause) {
      throw wrap("relay-closed", "the connection to the relay is closed", cause);
    }
  }

  #receive(data) {
    if (this.#ended) return;
    try {
      this.#handle(decodeFrame(data));
    } catch (error) {
      this.#end(wrap("relay-protocol", "the relay sent something that is not a frame", error));
    }
  }

  #handle(event) {
    switch (event.type) {
      case "joined":
        return this.#answer(event, (waiting) => {
          this.#joined.add(event.topic);
          waiting.resolve({ id: event.id, members: event.members });
        });
      case "refused":
        if (!this.#joining.has(event.topic)) break;
        return this.#answer(event, (waiting) => waiting.reject(event.error));
      case "direct":
        return; // of a session, and there is none here: another member must not end the connection by it
      default:
        if (!this.#joined.has(event.topic)) return; // it crossed with our leave
    }
    if (!this.#events.push(event)) {
      throw new HopsealError("relay-overflow", "too many events were not taken");
    }
  }

  #answer(event, settle) {
    const waiting = this.#joining.get(event.topic);
    if (!waiting) throw new HopsealError("relay-protocol", "the relay answered what was not asked");
    this.#joining.delete(event.topic);
    settle(waiting);
  }

  // end is the one way out: by the caller, with null, or with an error.
  #end(error) {
    if (this.#ended) return;
    this.#ended = Object.freeze({ type: "closed", error });
    this.#forgetCore();
    this.#socket.onmessage = this.#socket.onclose = null;
    try {
      this.#socket.close(closeNormally);
    } catch {
      // It is closed.
    }
    for (const { reject } of this.#joining.values()) reject(this.#closedError());
    this.#joining.clear();
    this.#joined.clear();
    this.#events.finish(this.#ended);
    this.#resolveClosed(this.#ended);
  }

  #closedError() {
    return this.#ended.error ?? new HopsealError("relay-closed", "the connection to the relay was closed here");
  }
}

// An EventQueue is bounded; its last event is always "closed".
class EventQueue {
  #events = [];
  #bytes = 0;
  #readers = [];
  #finished = false;

  // push returns false when the queue is full.
  push(event) {
    const reader = this.#readers.shift();
    if (reader) {
      reader({ value: event, done: false });
      return true;
    }
    if (this.#events.length >= maxWaitingEvents || this.#bytes + weight(event) > maxWaitingBytes) return false;
    this.#events.push(event);
    this.#bytes += weight(event);
    return true;
  }

  finish(event) {
    const reader = this.#readers.shift();
    if (reader) reader({ value: event, done: false });
    else this.#events.push(event);
    this.#finished = true;
    for (const other of this.#readers.splice(0)) other({ value: undefined, done: true });
  }

  async next() {
    if (this.#events.length > 0) {
      const event = this.#events.shift();
      this.#bytes -= weight(event);
      return { value: event, done: false };
    }
    if (this.#finished) return { value: undefined, done: true };
    return new Promise((resolve) => this.#readers.push(resolve));
  }
}

function weight(event) {
  return event.payload?.length ?? event.presence?.length ?? 0;
}

function encodeFrame(operation, ...values) {
  return call(operation, ...values).bytes();
}

function decodeFrame(data) {
  if (typeof data === "string") throw new HopsealError("relay-protocol", "the relay sent text");
  if (data.byteLength > maxWaitingBytes) throw new HopsealError("relay-protocol", "the relay sent too large a frame");
  const response = call(op.relayEvent, bytesOf(data, "what the WebSocket gave"));
  const type = response.text();
  const topic = response.text();
  switch (type) {
    case "joined":
      return { type, topic, id: response.hex(), members: readMembers(response) };
    case "refused":
      return { type, topic, error: new HopsealError(response.text(), response.text()) };
    case "entered":
      return { type, topic, ...readMember(response) };
    case "left":
      return { type, topic, id: response.hex() };
    case "message":
      return { type, topic, from: response.hex(), payload: response.bytes() };
    case "direct":
      return { type, topic };
  }
}

function readMember(response) {
  return { id: response.hex(), name: response.text(), presence: response.bytes() };
}

function readMembers(response) {
  const members = [];
  while (response.more) members.push(readMember(response));
  return members;
}

// closedByRelay tells how the socket ended. The reason is the relay's text.
function closedByRelay({ code, reason, wasClean }) {
  if (!wasClean) return new HopsealError("relay-closed", "the connection to the relay broke");
  const why = reason ? ` ${shown(reason)}` : "";
  return new HopsealError("relay-closed", `the relay closed the connection: ${code}${why}`);
}
