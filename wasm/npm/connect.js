// How a session begins: what connect takes, as fields for the core and functions that the core asks
// (wasm/internal/core/sessionconfig.go).
import { booleanOf, choiceOf, dataOf, functionOf, listOf, numberOf, optionsOf, reading, signalOf, tagOf, textOf, wanted } from "./args.js";
import { partsOf } from "./account.js";
import { handleOf, theCore } from "./core.js";
import { badArgument, HopsealError } from "./errors.js";
import { Identity, KnownPeers, publicHandle, readPublic, SharedKeyset } from "./keys.js";
import { attach, dial, targetOf } from "./link.js";
import { op } from "./ops.js";
import { quietly } from "./async.js";
import { readEvent, readSession } from "./session.js";
import { keyOfStore } from "./sessionstore.js";

const none = 0;
const never = 2 ** 32 - 1; // of a duration

// What both roles take, and what clients do.
export const common = [
  ...["identity", "verifier", "protocol", "proof", "allowSelf", "maxMessage", "window", "maxCalls", "keepAlive"],
  ...["handshakeTimeout", "sendTimeout", "idleTimeout", "maxAge", "store", "storeKeys"],
];
const ofClients = [...common, "address", "credentials", "peerFingerprint", "name", "retry", "signal", "onstate", "WebSocket", "protocols"];

// connect makes a session with a server: at a URL, or over links of one's own.
export async function connect(target, given) {
  const core = theCore();
  const options = optionsOf(given, ofClients);
  const signal = signalOf(options.signal);
  if (options.onstate !== undefined) functionOf(options.onstate, "onstate");
  const to = targetIn(target, options);
  const ends = endsOf(options);
  const fields = clientFields(options, to.address);
  const functions = { ...ends.functions, dial: dialer(core, to, mostOf(options)) };
  let session = null;
  functions.event = (content) => tell(readEvent(core, content), options.onstate, session);
  const key = core.turns.register(functions);
  try {
    const read = (response) => (session = readSession(core, response, () => core.turns.unregister(key)));
    return await core.turns.begin(op.connect, [key, ...ends.fields, ...fields], { signal, read });
  } catch (error) {
    core.turns.unregister(key);
    throw error;
  }
}

// targetIn returns how to get a connection, and what the Verifier is asked about.
function targetIn(target, { address, WebSocket = globalThis.WebSocket, protocols = [] }) {
  if (typeof target === "string" || tagOf(target) === "URL") {
    protocols = listOf(protocols, "protocols", textOf);
    const to = targetOf(target, "the server's address");
    if (!WebSocket) throw badArgument("there is no WebSocket here: pass one in the options");
    functionOf(WebSocket, "WebSocket");
    const open = async (signal) => [await dial(to, { WebSocket, protocols, signal }), to.kind, new URL(to.url).host];
    return { address: address === undefined ? to.address : textOf(address, "address"), open };
  }
  if (address === undefined) throw badArgument("address is missing: what the verifier is asked about for a link");
  const open = typeof target === "function" ? target : onlyOnce(target);
  return { address: textOf(address, "address"), open: async (signal) => [linkOf(await open({ signal })), "link", ""] };
}

// onlyOnce gives one link, so that the session ends with it.
function onlyOnce(link) {
  linkOf(link);
  let used = false;
  return () => {
    if (used) throw new HopsealError("unreachable", "there is one link, and it has ended");
    used = true;
    return link;
  };
}

export function linkOf(link) {
  if (reading("a link", () => typeof link?.send === "function" && typeof link.close === "function")) return link;
  throw wanted("a link", "an object with send(bytes) and close()", link);
}

// endsOf has what both roles have: see readEnds in wasm/internal/core/sessionconfig.go.
export function endsOf({ identity, verifier, protocol, credentials }) {
  identity = partsOf(identity)?.identity ?? identity;
  if (credentials !== undefined && typeof credentials !== "function") credentials = dataOf(credentials, "credentials");
  const functions = { credentials: credentials && (async (_, opts) => [dataOf(await valueOf(credentials, opts), "credentials")]) };
  const fields = [handleOf(identity, Identity, "identity"), ...verifierFields(verifier, functions), textOf(protocol, "protocol")];
  return { functions, fields };
}

const valueOf = (value, ...args) => (typeof value === "function" ? value(...args) : value);

function verifierFields(verifier, functions) {
  verifier = partsOf(verifier)?.knownPeers ?? verifier;
  if (tagOf(verifier) === "KnownPeers") return [handleOf(verifier, KnownPeers, "verifier"), [], none];
  if (typeof verifier === "function") {
    functions.verify = (content, options) => verdict(verifier, content, options);
    return [none, [], 1];
  }
  if (tagOf(verifier) === "PublicIdentity") return [none, [publicHandle(verifier, "verifier")], none];
  if (tagOf(verifier) !== "Array") throw wanted("verifier", "an Account, KnownPeers, a PublicIdentity, an array of them, or a function", verifier);
  const peers = listOf(verifier, "verifier", publicHandle);
  if (peers.length === 0) throw badArgument("verifier must not be an empty array");
  return [none, peers, none];
}

const roles = ["", "server", "client", "member"];

// verdict asks the page's function. Nothing but true is a yes.
async function verdict(verifier, content, options) {
  const expected = { address: content.text(), room: content.text(), role: roles[content.number()], fingerprint: content.text() };
  const answer = await verifier(readPublic(content), expected, options);
  if (answer !== true && answer !== false) throw badArgument("the verifier must give true or false");
  if (!answer) throw new HopsealError("trust-unknown", "the verifier does not accept this peer");
  return [1];
}

export const whole = (value, name, highest = 2 ** 31 - 1) => {
  return value === undefined ? 0 : numberOf(value, name, highest);
};

const milliseconds = (value, name) => (value === Infinity ? never : whole(value, name));

export function optionFields({ proof = "none", allowSelf = false, store, storeKeys = store?.keyset, ...o }) {
  return [
    choiceOf(proof, "proof", ["none", "ed25519"]) === "ed25519" ? 1 : 0,
    booleanOf(allowSelf, "allowSelf") ? 1 : 0,
    whole(o.maxMessage, "maxMessage"),
    whole(o.window, "window"),
    whole(o.maxCalls, "maxCalls"),
    milliseconds(o.keepAlive, "keepAlive"),
    milliseconds(o.handshakeTimeout, "handshakeTimeout"),
    milliseconds(o.sendTimeout, "sendTimeout"),
    milliseconds(o.idleTimeout, "idleTimeout"),
    milliseconds(o.maxAge, "maxAge"),
    store === undefined ? none : keyOfStore(store),
    storeKeys === undefined ? none : handleOf(storeKeys, SharedKeyset, "storeKeys"),
  ];
}

function clientFields({ retry: given, credentials, peerFingerprint = "", name = "", ...options }, address) {
  const retry = optionsOf(given, ["maxTries", "maxTime", "base", "cap"], "retry");
  return [
    address,
    ...optionFields(options),
    credentials === undefined ? 0 : 1,
    textOf(peerFingerprint, "peerFingerprint"),
    whole(retry.maxTries, "retry.maxTries"),
    milliseconds(retry.maxTime, "retry.maxTime"),
    milliseconds(retry.base, "retry.base"),
    milliseconds(retry.cap, "retry.cap"),
    textOf(name, "name"),
  ];
}

// mostOf returns how many bytes may wait to be read on a connection: more than a peer that keeps to the
// session's window can have under way.
export const mostOf = ({ window = 1 << 20, maxMessage = 1 << 20 }) => Math.min(4 * (window + maxMessage), 2 ** 30);

function dialer(core, to, most) {
  return async (content, { signal }) => {
    const limit = content.number();
    const [link, kind, remote] = await to.open(signal);
    const socket = attach(core, link, { kind, remote, limit, most });
    return Object.assign([socket.handle], { unused: () => socket.close(1000, "") });
  };
}

// tell hands an event on: to the session, and, before there is one too, to onstate.
function tell(detail, onstate, session) {
  session?.dispatchEvent(new CustomEvent(detail.type, { detail }));
  if (detail.type === "state") quietly(() => onstate?.(detail));
}
