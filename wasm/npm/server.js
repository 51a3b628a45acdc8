// The other end of sessions: Node behind ws, Express or Fastify, or whatever gives sockets.
import { dateOf, functionOf, optionsOf, signalIn, textOf } from "./args.js";
import { quietly, report } from "./async.js";
import { attach } from "./link.js";
import { common, endsOf, linkOf, mostOf, optionFields, whole } from "./connect.js";
import { handleOf, hold, release, theCore } from "./core.js";
import { badArgument, HopsealError, wrap } from "./errors.js";
import { readPublic } from "./keys.js";
import { op } from "./ops.js";
import { readEvent, readSession } from "./session.js";

const maxFrame = 64 << 10; // the largest message of a session on the wire, and what is around it
const token = Symbol("hopseal");
const bounds = ["maxSessions", "maxSessionsPerIdentity", "maxParked", "parkTimeout", "maxHandshakes", "maxHandshakesPerAddress"];

// createServer returns a server that runs handle for each session.
export function createServer(options, handle) {
  const given = optionsOf(options, [...common, ...bounds, "authenticate", "onerror"]);
  return new Server(token, given, functionOf(handle, "the server's handler of sessions"));
}

export class Server {
  #core = theCore();
  #key;
  #handle;
  #onerror;
  #most;
  #sessions = new Map(); // id -> session

  constructor(given, options, handle) {
    if (given !== token) throw badArgument("a Server is not made with new: use createServer()");
    const { authenticate, onerror = report } = options;
    if (authenticate !== undefined) functionOf(authenticate, "authenticate");
    functionOf(onerror, "onerror");
    const ends = endsOf(options);
    this.#handle = handle;
    this.#onerror = onerror;
    this.#key = this.#core.turns.register({
      ...ends.functions,
      authenticate: (content, opts) => authenticated(content, authenticate, opts),
      session: (content, opts) => this.#run(content, opts),
      event: (content) => this.#event(content),
    });
    try {
      const fields = [this.#key, ...ends.fields, ...optionFields(options), authenticate ? 1 : 0, ...limits(options)];
      this.#most = mostOf(options);
      hold(this, this.#core.turns.call(op.serverCreate, fields).number(), this.#core);
    } catch (error) {
      this.#core.turns.unregister(this.#key);
      throw error;
    }
  }

  // serve resolves once the connection's session is over, and never rejects.
  async serve(link, options) {
    let socket = null;
    try {
      const { remote = "", kind = "ws" } = optionsOf(options, ["remote", "kind"]);
      const info = { kind: textOf(kind, "kind"), remote: textOf(remote, "remote"), limit: maxFrame + 1024, most: this.#most };
      socket = attach(this.#core, linkOf(link), info);
      await this.#begin(op.serverServe, [socket.handle]);
      return { error: null };
    } catch (error) {
      socket?.close(1001, "");
      return { error: wrap("bad-argument", "the socket cannot be used", error) };
    }
  }

  async shutdown(options) {
    await this.#begin(op.serverShutdown, [], { signal: signalIn(options) });
    this.#core.turns.unregister(this.#key);
    release(this);
  }

  async stats() {
    return this.#begin(op.serverStats, [], { read: readStats });
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.shutdown();
  }

  get [Symbol.toStringTag]() {
    return "Server";
  }

  async #begin(operation, values = [], options) {
    return this.#core.turns.begin(operation, [handleOf(this, Server, "this"), ...values], options);
  }

  async #run(content, { signal }) {
    const session = readSession(this.#core, content, () => this.#sessions.delete(session.id));
    this.#sessions.set(session.id, session);
    try {
      await this.#handle(session, { signal });
      return [];
    } catch (error) {
      if (error?.code === "session-closed" && signal.aborted) return []; // it is the session's own end
      quietly(() => this.#onerror(error, session));
      throw error;
    } finally {
      session.closed.then(() => release(session));
    }
  }

  #event(content) {
    const detail = readEvent(this.#core, content);
    this.#sessions.get(detail.id)?.dispatchEvent(new CustomEvent(detail.type, { detail }));
  }
}

// authenticated asks the server's function what a client may do. It gives true, false, or { expires: Date };
// what it throws with the code "credentials" refuses the client.
async function authenticated(content, authenticate, options) {
  const grant = await authenticate(readPublic(content), content.bytes(), options);
  if (grant === true) return [0n];
  if (grant === false) throw new HopsealError("credentials", "the client is not let in");
  const { expires } = optionsOf(grant, ["expires"], "what authenticate gives");
  return [BigInt(dateOf(expires, "expires").getTime())];
}

const limits = (options) => bounds.map((name) => whole(options[name], name));

function readStats(response) {
  const [sessions, parked, handshakes] = [response.number(), response.number(), response.number()];
  const [greeted, ended] = [{}, {}];
  for (let counts = greeted; response.more; ) {
    const name = response.text();
    if (name === "") counts = ended;
    else counts[name] = Number(response.bigint());
  }
  return { sessions, parked, handshakes, greeted, ended };
}
