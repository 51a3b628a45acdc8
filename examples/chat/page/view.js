// What the page shows of a room. It is given plain values and puts all foreign
// text on the page as text.

import { hopView, legend } from "./hop.js";
import { fingerprintElement, nameElement, textElement } from "./text.js";

const maxRows = 300; // of the conversation; a relay that floods must not fill the page's memory

const $ = (id) => document.getElementById(id);
const clone = (id) => $(id).content.firstElementChild.cloneNode(true);

export class View {
  #room;
  #admit;
  #cards = new Map(); // member -> its element
  #open = null; // the hop view that opened by itself
  #lastNotice = null;

  constructor({ room, identity, admit }) {
    this.#room = room;
    this.#admit = admit;
    $("legend").replaceChildren(legend());
    $("log").replaceChildren();
    $("title").replaceChildren(nameElement(room));
    $("member-list").replaceChildren(this.#ownCard(identity));
    $("terminal").textContent = `go run ./examples/chat join -name carol -room ${shellWord(room)} ${location.origin}`;
  }

  status(event) {
    const element = $("status");
    element.dataset.state = event.state;
    element.textContent = statusText(event);
  }

  // Members

  members(members) {
    for (const [member, card] of this.#cards) {
      if (members.includes(member)) continue;
      card.remove();
      this.#cards.delete(member);
    }
    for (const member of members) this.#show(member);
    const strangers = members.filter((m) => m.state === "unknown").length;
    const alarms = members.filter((m) => m.state === "changed").length;
    $("head-count").textContent = String(members.length + 1);
    $("to-admit").hidden = !strangers && !alarms;
    $("to-admit").textContent = alarms ? "alarm" : `${strangers} to admit`;
    $("to-admit").className = alarms ? "badge changed" : "badge unknown";
    $("alone").hidden = members.length > 0;
    this.#showReaders(members.filter((m) => m.state === "admitted"));
  }

  #showReaders(admitted) {
    const line = $("readers");
    if (!admitted.length) {
      line.textContent = "Nobody here is admitted: nothing can be sent.";
      return;
    }
    line.replaceChildren("Sealed to ", ...joined(admitted.slice(0, 6).map((m) => nameElement(m.name))));
    if (admitted.length > 6) line.append(` and ${admitted.length - 6} more`);
    line.append(", and to nobody else.");
  }

  #ownCard(identity) {
    const card = clone("member-template");
    card.classList.add("you");
    fillHead(card, identity.name, "you", "you");
    card.querySelector(".fingerprint").replaceWith(fingerprintElement(identity.fingerprint));
    card.querySelector(".member-note").textContent = "Read this to the others, so that they can admit you.";
    card.querySelector(".actions").remove();
    return card;
  }

  /** Adds or refreshes a member's card. An open comparison stays open while its state does. */
  #show(member) {
    let card = this.#cards.get(member);
    const version = `${member.state} ${member.waiting.length}`;
    if (card?.dataset.version === version) return;
    if (!card) {
      card = clone("member-template");
      if (member.public) card.querySelector(".fingerprint").replaceWith(fingerprintElement(member.public.fingerprint));
      this.#cards.set(member, card);
      $("member-list").append(card);
    }
    card.dataset.version = version;
    card.dataset.state = member.state;
    fillHead(card, member.name, member.state, badges[member.state] ?? member.state);
    card.querySelector(".member-note").replaceChildren(...note(member));
    const actions = card.querySelector(":scope > .actions");
    if (!card.querySelector(".compare")) actions.replaceChildren(...this.#actions(member, card));
    else if (member.state === "admitted") actions.replaceChildren();
  }

  #actions(member, card) {
    if (member.state !== "unknown" && member.state !== "changed") return [];
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small admit";
    button.textContent = member.state === "changed" ? "I asked them…" : "Compare and admit…";
    button.addEventListener("click", () => this.#compare(member, card));
    return [button];
  }

  /** Asks, in the card, whether the fingerprints match. */
  #compare(member, card) {
    const actions = card.querySelector(":scope > .actions");
    const prompt = clone("compare-template");
    const question = prompt.querySelector(".question");
    question.append("Call ", nameElement(member.name, "strong"), ". Is this, group by group, what they see as their own?");
    prompt.querySelector(".fingerprint").replaceWith(fingerprintElement(member.public.fingerprint));
    const yes = prompt.querySelector(".yes");
    if (member.state === "changed") yes.textContent = "They match, replace the old one";
    yes.addEventListener("click", async () => {
      yes.disabled = true;
      await this.#admit(member);
      if (member.state !== "admitted") this.#back(member, card);
    });
    prompt.querySelector(".no").addEventListener("click", () => {
      this.#back(member, card);
      actions.querySelector("button")?.focus();
    });
    actions.replaceChildren(prompt);
    yes.focus();
    prompt.scrollIntoView({ block: "nearest" });
  }

  #back(member, card) {
    card.querySelector(":scope > .actions").replaceChildren(...this.#actions(member, card));
  }

  // The conversation

  message({ own, name, text, sealed, inspection, readers }) {
    const row = clone("message-template");
    row.classList.toggle("own", own);
    row.querySelector(".who").append(own ? "You" : nameElement(name));
    fillTime(row.querySelector("time"), new Date());
    row.querySelector(".bubble").append(textElement(text));
    if (own) row.querySelector(".readers").append("sealed to ", ...joined(readers.map((r) => nameElement(r))));
    else row.querySelector(".readers").remove();
    this.#append(row, { sealed, inspection, from: name });
  }

  notice({ level, category, text, name, about, sealed, inspection }) {
    const key = JSON.stringify([category, text, name, about]);
    if (!sealed && this.#lastNotice?.key === key) return this.#lastNotice.again();
    const row = clone("notice-template");
    row.dataset.level = level;
    row.dataset.category = category;
    const line = row.querySelector(".notice-text");
    const lead = name ?? about;
    if (lead !== undefined) line.append(nameElement(lead, "strong"), about === undefined ? " " : ": ");
    line.append(text);
    this.#append(row, sealed && { sealed, inspection, from: lead });
    this.#lastNotice = { key, again: counter(line) };
  }

  #append(row, frame) {
    this.#lastNotice = null;
    const log = $("log");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    log.append(row);
    if (frame) {
      const view = hopView({ ...frame, room: this.#room });
      row.querySelector(".hop").append(view.element);
      this.#openOnly(view);
    }
    while (log.children.length > maxRows) log.firstElementChild.remove();
    if (atEnd || row.classList.contains("own")) log.scrollTop = log.scrollHeight;
  }

  /** On a wide page the newest hop view is open, and the one before it closes again. */
  #openOnly(view) {
    if (!matchMedia("(min-width: 1080px)").matches) return;
    if (this.#open) this.#open.element.open = false;
    view.open();
    this.#open = view;
    view.element.firstElementChild.addEventListener("click", () => {
      if (this.#open === view) this.#open = null; // from now on the user decides
    });
  }
}

const badges = { admitted: "admitted", unknown: "not admitted", changed: "alarm", invalid: "invalid", expired: "expired", revoked: "withdrawn", "rolled-back": "outdated" };

function note(member) {
  const waiting = member.waiting.length;
  const waits = waiting ? [` ${waiting} ${waiting === 1 ? "message waits" : "messages wait"} until you do.`] : [];
  switch (member.state) {
    case "unknown":
      return ["A stranger until you compare.", ...waits];
    case "changed":
      return ["You admitted this name with another fingerprint before. ", "Somebody may be posing as them, or they made new keys. Ask them.", ...waits, " Before:", ...member.known.map(fingerprintElement)];
    case "expired":
      return ["Their identity has run out. They have to join again; check both clocks."];
    case "revoked":
      return ["The owner has withdrawn this identity."];
    case "rolled-back":
      return ["A newer identity of theirs was seen before. They have to join again."];
    case "invalid":
      return [member.problem, " Nothing is sealed to it."];
  }
  return [];
}

function fillHead(card, name, state, label) {
  const avatar = card.querySelector(".avatar");
  avatar.textContent = [...name].find((c) => /[\p{L}\p{N}]/u.test(c))?.toUpperCase() ?? "?";
  card.querySelector(".member-name").replaceChildren(nameElement(name));
  const badge = card.querySelector(".badge");
  badge.className = `badge ${state}`;
  badge.textContent = label;
}

function statusText({ state, seconds, error }) {
  switch (state) {
    case "waiting":
      return `The relay is gone. Trying again in ${seconds} s`;
    case "connecting":
      return "Connecting…";
    case "failed":
      return `Not back yet: ${explain(error)}`;
    case "broken":
      return `Stopped: ${explain(error)} Reload the page.`;
  }
  return "Connected";
}

/** An error as one or two sentences: what happened, what to do. */
export function explain(error) {
  const sentence = (s) => (/[.!?]$/.test(s) ? s : `${s}.`);
  const what = sentence(String(error?.message ?? error));
  return error?.hint ? `${what} ${sentence(error.hint)}` : what;
}

function fillTime(element, when) {
  element.dateTime = when.toISOString();
  element.textContent = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** Puts ", " between elements. */
const joined = (elements) => elements.flatMap((e, i) => (i ? [", ", e] : [e]));

/** Counts repetitions at the end of a line. */
function counter(line) {
  let n = 1;
  const shown = document.createElement("span");
  shown.className = "count";
  return () => {
    shown.textContent = `${++n}×`;
    line.append(" ", shown);
  };
}

const shellWord = (s) => (/^[\w.-]+$/.test(s) ? s : `'${s.replaceAll("'", "'\\''")}'`);
