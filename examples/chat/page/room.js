// A room as one user sees it: who the relay says is present, whom the user
// admitted, and the messages sealed between them. README.md has the protocol.
// Nothing here touches the page; nothing here believes the relay.

import { PublicIdentity, RelayClient, inspect, open, seal } from "./hopseal/index.js";

const contentType = "text/plain; charset=utf-8";
export const maxName = 64; // bytes, the relay's limit
export const maxRoom = 128; // bytes, the relay's limit
export const maxText = 16 << 10; // bytes in one message
const maxMembers = 1000;
const maxFrame = 256 << 10; // bytes, the relay's limit, which it may break
const maxWaiting = 20; // messages of one member that is not admitted
const maxWaitingSize = 1 << 20; // bytes of one such member
const maxWaitingAll = 8 << 20; // bytes of all such members

/** How often the identity is signed anew; peers refuse one signed 30 days ago. */
export const renewAfter = 24 * 60 * 60 * 1000;

const utf8 = new TextEncoder();
export const byteLength = (text) => utf8.encode(text).length;

// A member is "admitted", or "invalid" where nobody could admit it, or what
// KnownPeers says of it; "changed" is the alarm.
const trustStates = new Set(["unknown", "changed", "revoked", "expired", "rolled-back"]);

export class Room {
  #account;
  #emit;
  #url;
  #relay = null;
  #stopped = new AbortController();
  #queue = Promise.resolve();

  /**
   * account has identity, knownPeers, replay and save(); emit is called with every
   * event: status, members, message, notice.
   */
  constructor({ name, url, account, emit }) {
    this.name = name;
    this.members = []; // in the order of arrival
    this.#url = url;
    this.#account = account;
    // Once it is stopped, another room may have the page.
    this.#emit = (event) => this.#stopped.signal.aborted || emit(event);
  }

  get context() {
    return `chat room ${this.name}`;
  }

  /** Connects and joins; rejects when that fails the first time. Later losses are healed. */
  async start() {
    const relay = await this.#connect();
    this.#stay(relay).catch((error) => {
      this.#emit({ type: "status", state: "broken", error });
      this.stop();
    });
  }

  stop() {
    this.#stopped.abort();
    this.#relay?.close();
  }

  async #connect() {
    const { identity } = this.#account;
    const relay = await RelayClient.connect(this.#url, { signal: this.#stopped.signal });
    try {
      const joined = await relay.join(this.name, identity.name, identity.public.bytes);
      await this.#inTurn(() => this.#enterAll(joined.members));
    } catch (error) {
      relay.close();
      throw error;
    }
    this.#relay = relay;
    this.#emit({ type: "status", state: "connected" });
    return relay;
  }

  /** Takes events until the room is stopped, over as many connections as it needs. */
  async #stay(relay) {
    while (!this.#stopped.signal.aborted) {
      if (relay) {
        for await (const event of relay) await this.#inTurn(() => this.#take(event));
        this.#relay = null;
      }
      relay = await this.#reconnect();
    }
  }

  async #reconnect() {
    for (let attempt = 0; !this.#stopped.signal.aborted; attempt++) {
      const wait = Math.min(1000 * 2 ** attempt, 15000) * (0.8 + 0.4 * Math.random());
      this.#emit({ type: "status", state: "waiting", seconds: Math.ceil(wait / 1000) });
      await pause(wait, this.#stopped.signal);
      if (this.#stopped.signal.aborted) break;
      this.#emit({ type: "status", state: "connecting" });
      try {
        return await this.#connect();
      } catch (error) {
        this.#emit({ type: "status", state: "failed", error });
      }
    }
    return null;
  }

  /** Runs one thing after the other, so that a message cannot slip past an admission. */
  #inTurn(job) {
    const done = this.#queue.then(job);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #take(event) {
    switch (event.type) {
      case "entered":
        await this.#enter(event);
        break;
      case "left":
        this.#leave(event.id);
        break;
      case "message":
        await this.#receive(event.from, event.payload);
        break;
    }
  }

  async #enterAll(claims) {
    const before = this.members;
    this.members = [];
    for (const claim of claims) await this.#enter(claim, before);
    this.#emit({ type: "members" });
  }

  async #enter(claim, before = []) {
    if (this.members.length >= maxMembers) {
      await this.#notice("warning", "members", "The relay names more members than a room can have; one is left out.");
      return;
    }
    const member = await this.#examine(claim);
    inherit(member, before);
    this.members.push(member);
    await this.#judge(member);
    if (member.state === "changed") await this.#notice("alarm", "changed", "is here with another fingerprint than the one you admitted. Somebody may be posing as them: ask before you do anything.", { name: member.name });
    this.#emit({ type: "members" });
  }

  /** Finds out what a presence is worth. */
  async #examine({ id, name, presence }) {
    const member = { id, name, public: null, problem: "", state: "invalid", known: [], waiting: [] };
    try {
      member.public = await PublicIdentity.parse(presence);
    } catch {
      member.problem = "What it shows is not a valid identity.";
      return member;
    }
    const { identity } = this.#account;
    if (member.public.fingerprint === identity.fingerprint) member.problem = "It shows your own identity.";
    else if (member.public.name !== name) member.problem = "Its identity was made for another name.";
    else if (name === identity.name) member.problem = "It uses your name.";
    return member;
  }

  /** Sets the member's state by what the user decided about it. */
  async #judge(member) {
    if (member.problem) return;
    member.known = [];
    try {
      await this.#account.knownPeers.verify(this.#expect(member.name), member.public);
      member.state = "admitted";
    } catch (error) {
      const state = String(error.code).replace(/^trust-/, "");
      if (!trustStates.has(state)) throw error;
      member.state = state;
      member.known = error.known ?? [];
    }
    await this.#account.save(); // verifying may have learned of a newer identity
  }

  /** Each (room, name) has one fingerprint: another one under the same name is an alarm. */
  #expect(name) {
    return { address: `chat/${encodeURIComponent(this.name)}/${encodeURIComponent(name)}`, role: "member" };
  }

  #leave(id) {
    this.members = this.members.filter((m) => m.id !== id);
    this.#emit({ type: "members" });
  }

  /** Records that the user compared this very identity, then opens what waited for that. */
  admit(member) {
    return this.#inTurn(async () => {
      if (member.problem) throw new Refusal(member.problem);
      await this.#account.knownPeers.admit(this.#expect(member.name), member.public);
      for (const other of this.members) await this.#judge(other);
      await this.#notice("info", "admitted", "is admitted: what you write is sealed to them too.", { name: member.name });
      for (const sealed of member.waiting.splice(0)) await this.#read(member, sealed);
      this.#emit({ type: "members" });
    });
  }

  /** Seals text to the admitted members who are present, and sends it. */
  send(text) {
    return this.#inTurn(async () => {
      if (!this.#relay) throw new Refusal("Not sent: the relay is gone. Send it again once it is back.");
      const { identity } = this.#account;
      const to = await this.#recipients();
      if (!to.length) throw new Refusal("Nobody here is admitted, so nothing was sent. Compare fingerprints, then admit.");
      const sealed = await seal(utf8.encode(text), { from: identity, to, contentType, context: this.context });
      await this.#relay.publish(this.name, sealed);
      await this.#message({ own: true, name: identity.name, text, sealed, readers: to.map((p) => p.name) });
    });
  }

  async #recipients() {
    const to = new Map(); // each once, however often the relay shows it
    for (const member of this.members) {
      await this.#judge(member);
      if (member.state === "admitted") to.set(member.public.fingerprint, member.public);
    }
    return [...to.values()];
  }

  async #receive(from, sealed) {
    const member = this.members.find((m) => m.id === from);
    if (!member) {
      await this.#notice("warning", "foreign", "A message was dropped: whom the relay names as its sender is not in the room.");
      return;
    }
    if (sealed.length > maxFrame) {
      await this.#drop(member, undefined, "malformed", "it is larger than any that a member can send");
      return;
    }
    await this.#judge(member);
    if (member.state === "admitted") await this.#read(member, sealed);
    else if (member.state === "unknown" || member.state === "changed") await this.#wait(member, sealed);
    else await this.#drop(member, sealed, "identity", "it is not from an identity that you could admit");
  }

  /** Keeps a message for the time that its sender is admitted. */
  async #wait(member, sealed) {
    const size = sizeWaiting([member]) + sealed.length;
    const all = sizeWaiting(this.members) + sealed.length;
    if (member.waiting.length >= maxWaiting || size > maxWaitingSize || all > maxWaitingAll) {
      await this.#drop(member, sealed, "waiting", "too many wait for you to admit them");
      return;
    }
    member.waiting.push(sealed);
    if (member.waiting.length === 1) await this.#notice("info", "waiting", "wrote. You can read it once you admit them.", { name: member.name });
    this.#emit({ type: "members" });
  }

  async #read(member, sealed) {
    const { identity, replay } = this.#account;
    let opened;
    try {
      opened = await open(sealed, { identity, from: member.public, context: this.context, replay });
    } catch (error) {
      await this.#unread(member, sealed, error);
      return;
    }
    await this.#account.save(); // before it is shown: a reload must not let it in again
    const text = decode(opened);
    if (text === null) await this.#drop(member, sealed, "content", "it is not a chat text");
    else await this.#message({ own: false, name: member.name, text, sealed });
  }

  async #unread(member, sealed, error) {
    if (error.reason === "not-for-us") {
      await this.#notice("info", "not-for-us", "wrote something that is not sealed to you. They have not admitted you, or not yet.", { name: member.name, sealed });
    } else if (error.code === "open-failed") {
      const [category, meaning] = meanings[error.reason] ?? ["error", "it does not open"];
      await this.#drop(member, sealed, category, meaning);
    } else {
      await this.#drop(member, sealed, "error", error.message);
    }
  }

  #drop(member, sealed, category, meaning) {
    return this.#notice("warning", category, `A message was dropped: ${meaning}.`, { about: member.name, sealed });
  }

  async #message(message) {
    this.#emit({ type: "message", ...message, inspection: await look(message.sealed) });
  }

  async #notice(level, category, text, { name, about, sealed } = {}) {
    this.#emit({ type: "notice", level, category, text, name, about, sealed, inspection: sealed && (await look(sealed)) });
  }
}

/** Something that the user asked for and cannot have, in words for the user. */
export class Refusal extends Error {}

// Why a message was dropped, by the reason that open() gives.
const meanings = {
  malformed: ["malformed", "it was cut short or damaged on the way"],
  proof: ["proof", "it was changed on the way, or forged"],
  replay: ["replay", "it is a repeat of one that you have seen"],
  context: ["context", "it was made for another room"],
  sender: ["sender", "the relay says it is theirs, and it is not"],
  reflected: ["reflected", "it is your own, sent back"],
  time: ["time", "it is a late repeat, or one of the two clocks is wrong"],
  version: ["version", "it was made in a way that this page does not read"],
  suite: ["version", "it was made in a way that this page does not read"],
  key: ["body", "it does not open: their program made it wrong"],
  body: ["body", "it does not open: their program made it wrong"],
};

/** What anybody on the way sees of a message; null where it is not even an envelope. */
async function look(sealed) {
  try {
    return await inspect(sealed);
  } catch {
    return null;
  }
}

function decode({ data, header }) {
  if (header.contentType !== contentType || data.length > maxText) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return null;
  }
}

/** How many bytes wait for an admission of these members. */
function sizeWaiting(members) {
  return members.flatMap((m) => m.waiting).reduce((sum, sealed) => sum + sealed.length, 0);
}

/** A member who was there under another id before the connection broke keeps what waited. */
function inherit(member, before) {
  const old = before.find((m) => m.public && m.name === member.name && m.public.fingerprint === member.public?.fingerprint);
  if (old && !member.problem) member.waiting = old.waiting.splice(0);
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
