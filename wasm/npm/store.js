// The page's long-term state: identity, known peers and what was opened of late, one record a user.
import { booleanOf, optionsOf, textOf } from "./args.js";
import { call, handleOf, hold, isLost, release } from "./core.js";
import { ReplayGuard, readGuard } from "./envelope.js";
import { badArgument, HopsealError, wrap } from "./errors.js";
import { Identity, KnownPeers, readIdentity, readPeers } from "./keys.js";
import { op } from "./ops.js";
import { MemoryRecord, openRecord } from "./record.js";

export async function openStore(options) {
  const { name = "hopseal", record, memory = false, acceptOld = false } = optionsOf(options, ["name", "record", "memory", "acceptOld"]);
  if (!textOf(name, "name") || !textOf(record, "record")) throw badArgument("name and record must not be empty");
  const store = new Store(booleanOf(acceptOld, "acceptOld"));
  return store.attach(booleanOf(memory, "memory") ? new MemoryRecord() : await openRecord(name, record, (error) => store.end(error)));
}

const [nothing, claims] = [0, 1]; // what there is to save, and 2: all
const leastLog = 1 << 16; // bytes that are appended before all is written again, or as many as all has

// What of was asked for last to be saved, in the core.
class Kept {
  constructor() {
    hold(this, call(op.keptCreate).number());
  }

  get [Symbol.toStringTag]() {
    return "Kept";
  }
}

class Store {
  #record = null;
  #acceptOld;
  #queue = Promise.resolve();
  #kept = null;
  #size = 0; // of what was written whole; 0 for all is to be written
  #logged = 0;
  #ended = null;
  #resolveClosed;

  constructor(acceptOld) {
    this.#acceptOld = acceptOld;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
  }

  attach(record) {
    this.#record = record;
    return this;
  }

  load() {
    return this.#inTurn(async (record) => {
      const found = await record.read();
      if (!found) return null;
      const content = parse(found);
      if (found.state === "old" && !this.#acceptOld) {
        throw new HopsealError("store-rolled-back", "an older copy of the record has been put in its place");
      }
      // What the record lacks begins as after a loss.
      if (found.state === "old") content.knownPeers = await KnownPeers.create();
      if (found.state !== "current" && content.replay) content.replay = await ReplayGuard.create();
      if (found.state !== "current" || isOld(content.identity.public)) content.unsaved = await this.#renew(content, record);
      return content;
    });
  }

  async save(content) {
    const given = optionsOf(content, ["identity", "knownPeers", "replay", "unsaved"], "content");
    return this.#inTurn((record) => this.#write(given, record));
  }

  // ended is null, or the error of every later call.
  get ended() {
    return this.#ended;
  }

  async close() {
    this.end(null);
    await this.#queue;
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  // end is the one way out: by the caller, with null, or with what took the record away.
  end(error) {
    if (this.#ended) return;
    const record = this.#record;
    this.#ended = error ?? new HopsealError("closed", "the store was closed");
    this.#record = null;
    if (this.#kept) release(this.#kept);
    const close = async () => {
      await record?.close();
      this.#resolveClosed(error);
    };
    this.#queue = this.#queue.then(close);
  }

  // inTurn runs one job after the other, so that what was saved last is what stays.
  #inTurn(job) {
    const record = this.#record;
    if (!record) return Promise.reject(this.#ended);
    const run = async () => {
      const result = await job(record);
      if (this.#ended && this.#ended.code !== "closed") throw this.#ended; // it was taken away meanwhile
      return result;
    };
    const done = this.#queue.then(run);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #write({ identity, knownPeers, replay }, record) {
    if (!this.#kept || isLost(this.#kept)) this.#kept = new Kept();
    const response = call(
      op.keptChanges,
      handleOf(this.#kept, Kept, "this"),
      handleOf(identity, Identity, "identity"),
      handleOf(knownPeers, KnownPeers, "knownPeers"),
      replay === undefined || replay === null ? 0 : handleOf(replay, ReplayGuard, "replay"),
      this.#logged > Math.max(leastLog, this.#size) || !this.#size ? 1 : 0,
    );
    const what = response.number();
    const bytes = response.bytes();
    response.wipe();
    if (what === nothing) return;
    const size = what === claims ? this.#size : bytes.length;
    this.#size = 0; // until this is written
    try {
      await (what === claims ? record.append(bytes) : record.write(bytes));
      this.#logged = what === claims ? this.#logged + bytes.length : 0;
      this.#size = size;
    } finally {
      bytes.fill(0);
    }
  }

  // renew keeps an identity alive whose page was not open for long: a statement counts for 30 days.
  // If it cannot be saved, the page has it all the same and is told why, and the next load renews
  // again, under a higher serial.
  async #renew(content, record) {
    try {
      await content.identity.renew();
      await this.#write(content, record);
      return null;
    } catch (cause) {
      if (cause.code === "core-dead") throw cause;
      return wrap("store-failed", `the identity's renewal was not saved: ${cause?.message ?? cause}`, cause);
    }
  }
}

const clockSkew = 5 * 60 * 1000; // ms, as in package keys

// isOld reports whether it is time for a new statement: half of the life of this one is over, or it
// is from the future, since a clock was wrong.
export function isOld({ issued, expires, revoked }) {
  const now = Date.now();
  return !revoked && (now >= (issued.getTime() + expires.getTime()) / 2 || now + clockSkew < issued.getTime());
}

function parse({ whole, appended }) {
  try {
    const all = new Uint8Array(appended.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of appended) {
      all.set(part, at);
      at += part.length;
    }
    const response = call(op.keptParse, whole, all);
    return { identity: readIdentity(response), knownPeers: readPeers(response), replay: readGuard(response), unsaved: null };
  } catch (cause) {
    if (cause.code === "core-dead") throw cause;
    throw new HopsealError("store-damaged", "the stored identity is not one that this version reads", { cause });
  } finally {
    whole.fill(0);
  }
}
