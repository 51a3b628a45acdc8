import { bytesOf, dataOf, listOf, numberOf, optionsOf, signalOf, textOf } from "./args.js";
import { call, handleOf, hold, release } from "./core.js";
import { badArgument, HopsealError } from "./errors.js";
import { Identity, publicHandle, SharedKeyset } from "./keys.js";
import { op } from "./ops.js";
import { isLarge, openInSteps, sealInSteps } from "./webcrypto.js";

const none = 0; // handle of nothing
const maxAgeLimit = 30 * 24 * 60 * 60 * 1000; // MaxAgeLimit, in milliseconds
const cacheTimeout = 10_000; // milliseconds

const token = Symbol("hopseal");

export class ReplayGuard {
  constructor(given, handle) {
    if (given !== token) throw badArgument("a ReplayGuard is not made with new");
    hold(this, handle);
  }

  static async create(options) {
    const { identity, shared } = optionsOf(options, ["identity", "shared"]);
    if (identity !== undefined && shared !== undefined) throw badArgument("identity or shared, not both");
    const response = call(
      op.guardCreate,
      identity === undefined ? none : handleOf(identity, Identity, "identity"),
      shared === undefined ? none : handleOf(shared, SharedKeyset, "shared"),
    );
    return new ReplayGuard(token, response.number());
  }

  static async parse(bytes) {
    return new ReplayGuard(token, call(op.guardParse, bytesOf(bytes, "bytes")).number());
  }

  async bytes() {
    return call(op.guardBytes, handleOf(this, ReplayGuard, "this")).bytes();
  }

  get [Symbol.toStringTag]() {
    return "ReplayGuard";
  }

  close() {
    release(this);
  }
}

// readGuard reads a guard's handle, or none.
export function readGuard(response) {
  const handle = response.number();
  return handle === none ? null : new ReplayGuard(token, handle);
}

const sealOptions = ["from", "to", "shared", "party", "toParty", "contentType", "context"];

export async function seal(plaintext, options) {
  const bytes = dataOf(plaintext, "plaintext");
  const { from, to = [], shared, party = "", toParty = "", contentType = "", context = "" } = optionsOf(options, sealOptions);
  const sealer = [
    from === undefined ? none : handleOf(from, Identity, "from"),
    listOf(to, "to", publicHandle),
    shared === undefined ? none : handleOf(shared, SharedKeyset, "shared"),
    textOf(party, "party"),
    textOf(toParty, "toParty"),
    textOf(contentType, "contentType"),
    textOf(context, "context"),
  ];
  try {
    const steps = isLarge(bytes) ? sealInSteps(sealer, bytes) : null;
    return steps ?? call(op.seal, ...sealer, bytes).bytes();
  } finally {
    bytes.fill(0); // our copy; the steps have one of their own by now
  }
}

const openOptions = ["identity", "from", "shared", "party", "fromParty", "context", "maxAge", "replay", "signal"];

export async function open(sealed, options) {
  const bytes = bytesOf(sealed, "sealed");
  const given = optionsOf(options, openOptions);
  const signal = signalOf(given.signal);
  const cache = isCache(given.replay) ? given.replay : null;
  const opener = [...openerOf(given), cache ? none : handleOf(given.replay, ReplayGuard, "replay")];
  const { data, response } = await openEither(op.open, op.openBegin, opener, bytes);
  const [key, until] = [response.hex(), response.date()];
  const header = readHeader(response);
  response.wipe();
  if (cache) await askFor(data, cache, { key, until, header: { ...header } }, signal);
  return { data, header };
}

// isCache: a cache's method may be its class's.
function isCache(replay) {
  try {
    return typeof replay?.claim === "function";
  } catch {
    return false;
  }
}

async function openEither(whole, begin, opener, sealed) {
  const steps = isLarge(sealed) ? openInSteps(begin, opener, sealed) : null;
  if (steps) return steps;
  const response = call(whole, ...opener, sealed);
  return { data: response.bytes(), response };
}

// openOwn opens what the identity itself has sealed, as often as asked. The bytes are our copy.
export async function openOwn(sealed, identity, context) {
  const opener = [handleOf(identity, Identity, "identity"), context];
  const { data, response } = await openEither(op.openOwn, op.openOwnBegin, opener, sealed);
  response.bytes();
  response.bytes(); // a claim that was not made
  return { data, header: readHeader(response) };
}

function openerOf({ identity, from, shared, party = "", fromParty = "", context = "", maxAge = 0 }) {
  return [
    identity === undefined ? none : handleOf(identity, Identity, "identity"),
    from === undefined ? none : publicHandle(from, "from"),
    shared === undefined ? none : handleOf(shared, SharedKeyset, "shared"),
    textOf(party, "party"),
    textOf(fromParty, "fromParty"),
    textOf(context, "context"),
    numberOf(maxAge, "maxAge, in milliseconds,", maxAgeLimit),
  ];
}

// askFor throws, and clears the data, unless the caller's cache says yes.
async function askFor(data, cache, claim, signal) {
  try {
    if (await ask(cache, claim, signal)) return;
  } catch (cause) {
    data.fill(0);
    throw new HopsealError("replay-unavailable", "the replay cache did not decide", { cause });
  }
  data.fill(0);
  throw new HopsealError("open-failed", "envelope: message does not open", { reason: "replay" });
}

// ask waits no longer than the signal and ten seconds allow, whatever the cache does.
async function ask(cache, claim, signal) {
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  const timer = setTimeout(() => stop.abort(new Error("no answer within ten seconds")), cacheTimeout);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    stop.signal.throwIfAborted();
    const stopped = new Promise((_, reject) => stop.signal.addEventListener("abort", () => reject(stop.signal.reason)));
    const first = await Promise.race([cache.claim(claim, { signal: stop.signal }), stopped]);
    if (typeof first !== "boolean") throw new TypeError("claim must give true or false");
    return first;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

export async function inspect(sealed) {
  const response = call(op.inspect, bytesOf(sealed, "sealed"));
  const header = readHeader(response);
  const recipients = response.hex().match(/.{64}/g) ?? [];
  const parts = [];
  while (response.more) {
    parts.push({ name: response.text(), offset: response.number(), size: response.number() });
  }
  return { header, recipients, parts };
}

// The nine fields of a header; what a suite does not have comes empty.
function readHeader(response) {
  return {
    suite: response.text(),
    sender: response.text() || null,
    party: response.text() || null,
    sealKey: response.hex(),
    proofKey: response.hex() || null,
    id: response.hex(),
    time: response.date(),
    contentType: response.text(),
    context: response.text(),
  };
}
