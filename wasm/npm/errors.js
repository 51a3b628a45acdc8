const deploy =
  'Deploy node_modules/hopseal/core.wasm beside the script, or pass its address: init("/core.wasm"). docs/browser.md says how with each bundler.';

// What to do about each code, one sentence; "" where the message says it all.
const hints = {
  "not-initialised": "Call and await init() before anything else.",
  "core-fetch": deploy,
  "core-not-wasm": deploy,
  "core-compile": "A Content-Security-Policy has to allow 'wasm-unsafe-eval' in script-src.",
  "core-mismatch": "Deploy core.wasm and runtime.js of one build together, and drop old copies from caches.",
  "core-start": "",
  "core-dead": "Call init() again, and load what the page needs from its store; please report this.",
  "bad-argument": "",
  closed: "Make or load the object again.",
  "too-large": "Split it: one call takes up to 64 MiB.",
  "too-many": "Close what is no longer needed.",
  aborted: "",
  invalid: "The bytes are damaged, cut short or something else: get them again.",
  "seal-failed": "",
  "identity-expired": "Call renew() on it and save it; openStore() does both when a page loads its identity.",
  "open-failed": "Ask the sender to send it again; error.reason says more, for local use only.",
  "replay-unavailable": "Nothing was refused: leave the message where it is and open it later.",
  "trust-unknown": "Compare the fingerprint with its owner, then admit it.",
  "trust-changed": "Somebody may be in the middle: compare fingerprints before going on.",
  "trust-revoked": "Its owner has withdrawn it: ask for the new one.",
  "trust-expired": "Its owner has to renew it; check both clocks.",
  "trust-not-yet-valid": "Check both clocks.",
  "trust-rolled-back": "An older copy was presented: ask its owner for the current one.",
  "store-unavailable":
    "Serve the page over https or from localhost, outside of private mode, or keep the identity in memory only with { memory: true }.",
  "store-in-use": "Close the other tab that uses it.",
  "store-damaged": "Restore it from a backup, or start with a new identity, which peers have to admit again.",
  "store-failed": "",
  "wrong-passphrase": "Try again: capitals, the keyboard's language, a space at an end.",
  "store-full": "Free space on the disk or among what this site keeps, then try again: nothing was lost that was saved before.",
  "store-rolled-back":
    "Ask the user; to go on with it, pass { acceptOld: true }: known peers start empty, and messages of the first five minutes are refused.",
  "relay-unreachable": "Check the address and that the relay runs, then try again.",
  "relay-closed": "Connect again.",
  "relay-protocol": "Check that the address is a Hopseal relay's, of the same version.",
  "relay-overflow": "Take events faster, then connect again.",
  "relay-name-taken": "Choose another name.",
  "relay-full": "Try again later, or elsewhere.",
  "relay-too-large": "Send less at once.",
  "relay-bad-name": "Use a name of 1 to 64 bytes.",
  "relay-bad-topic": "Use a topic of 1 to 128 bytes.",
  "relay-refused": "",
  unreachable: "Check the address and that the server runs, then try again.",
  handshake: "error.reason says why in one word.",
  "session-closed": "error.close says who ended it and what may be missing; connect() makes another.",
  "session-overflow": "Await each send.",
  refused: "The session goes on.",
  reply: "",
  credentials: "",
  "credentials-expired": "Show newer ones.",
  stream: "What was read of it is not all; the session goes on.",
  callback: "",
};

// Codes of what may go away by itself.
const retryable = new Set([
  "unreachable",
  "core-fetch",
  "replay-unavailable",
  "store-in-use",
  "relay-unreachable",
  "relay-closed",
  "relay-overflow",
  "relay-name-taken",
  "relay-full",
]);

export class HopsealError extends Error {
  constructor(code, message, { cause, reason, known, details } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hints[code] ?? "";
    this.retryable = retryable.has(code);
    if (reason) this.reason = reason;
    if (known?.length) this.known = Object.freeze(known);
    Object.assign(this, details);
  }
}
Object.defineProperty(HopsealError.prototype, "name", { value: "HopsealError" });

// detailsOf reads what the core adds to an error (wasm/internal/core/sessionerrors.go).
export function detailsOf(code, known) {
  if (code === "session-closed") return { details: { close: closeOf(known) } };
  if (code === "reply") return { details: { reply: Number(known[0]) } };
  if (code === "refused") return { details: { id: BigInt(known[0]) } };
  return { known };
}

function closeOf([code, remote, missing, stored, first, count]) {
  const gap = count === "0" ? null : Object.freeze({ first: BigInt(first), count: Number(count) });
  return Object.freeze({ code, remote: remote === "1", missing: Number(missing), stored: stored === "1", gap });
}

export function badArgument(message) {
  return new HopsealError("bad-argument", message);
}

// wrap keeps the original error as the cause of one of ours.
export function wrap(code, message, cause) {
  return cause instanceof HopsealError ? cause : new HopsealError(code, message, { cause });
}

// shown is how text that somebody else chose appears in a console or an error:
// quoted, every character but printable ASCII escaped.
export function shown(text) {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}
