import { bytesOf, call, handleOf, hold, release, textOf } from "./core.js";
import { badArgument } from "./errors.js";
import { firstGuardOf, Identity, publicHandle, SharedKeyset } from "./keys.js";
import { op } from "./ops.js";
import { isLarge, openInSteps, sealInSteps } from "./webcrypto.js";

const none = 0; // handle of nothing

const token = Symbol("hopseal");

export class ReplayGuard {
  constructor(given, handle) {
    if (given !== token) throw badArgument("a ReplayGuard is not made with new");
    hold(this, handle);
  }

  static async create({ identity, start } = {}) {
    if (identity !== undefined) handleOf(identity, Identity, "identity");
    // Asked also if start is given: another guard must not begin at the birth again.
    const first = firstGuardOf(identity);
    start ??= first ? new Date(0) : new Date();
    if (!(start instanceof Date) || Number.isNaN(start.getTime())) throw badArgument("start must be a valid Date");
    return new ReplayGuard(token, call(op.guardCreate, start).number());
  }

  static async parse(bytes) {
    return new ReplayGuard(token, call(op.guardParse, bytesOf(bytes, "bytes")).number());
  }

  async bytes() {
    return call(op.guardBytes, handleOf(this, ReplayGuard, "this")).bytes();
  }

  close() {
    release(this);
  }
}

export async function seal(plaintext, options) {
  const { from, to = [], shared, party = "", toParty = "", contentType = "", context = "" } = options ?? {};
  if (!Array.isArray(to)) throw badArgument("to must be an array of PublicIdentity");
  const sealer = [
    from === undefined ? none : handleOf(from, Identity, "from"),
    to.map((peer, i) => publicHandle(peer, `to[${i}]`)),
    shared === undefined ? none : handleOf(shared, SharedKeyset, "shared"),
    textOf(party, "party"),
    textOf(toParty, "toParty"),
    textOf(contentType, "contentType"),
    textOf(context, "context"),
  ];
  const steps = isLarge(bytesOf(plaintext, "plaintext")) ? sealInSteps(sealer, plaintext) : null;
  return steps ?? call(op.seal, ...sealer, plaintext).bytes();
}

export async function open(sealed, options) {
  const { identity, from, shared, party = "", fromParty = "", context = "", replay } = options ?? {};
  const opener = [
    identity === undefined ? none : handleOf(identity, Identity, "identity"),
    from === undefined ? none : publicHandle(from, "from"),
    shared === undefined ? none : handleOf(shared, SharedKeyset, "shared"),
    textOf(party, "party"),
    textOf(fromParty, "fromParty"),
    textOf(context, "context"),
    handleOf(replay, ReplayGuard, "replay"),
  ];
  const steps = isLarge(bytesOf(sealed, "sealed")) ? openInSteps(opener, sealed) : null;
  return steps ? openLarge(await steps) : openWhole(opener, sealed);
}

function openWhole(opener, sealed) {
  const response = call(op.open, ...opener, sealed);
  const data = response.bytes();
  const header = readHeader(response);
  response.wipe();
  return { data, header };
}

const openLarge = ({ data, response }) => ({ data, header: readHeader(response) });

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
