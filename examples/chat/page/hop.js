// The hop view: what the relay saw of one message. Everything in it can be
// computed by anybody who has the bytes; no key is used.

import { grouped, nameElement } from "./text.js";

const number = new Intl.NumberFormat("en");
const bytes = (n) => `${number.format(n)} ${n === 1 ? "byte" : "bytes"}`;

// How a hop sees each part, and how much of it the hex shows before it is opened
// in full: lines at the beginning and at the end.
const parts = {
  framing: { label: "framing", first: 4, last: 4 },
  header: { label: "header, readable", first: 12, last: 12 },
  recipients: { label: "keys for the readers, sealed", first: 2, last: 1 },
  body: { label: "the text, sealed", first: 3, last: 1 },
  proof: { label: "proof, a signature", first: 2, last: 2 },
  unknown: { label: "not a whole message", first: 4, last: 1 },
};

/** The legend of the colours. */
export function legend() {
  const list = create("ul", "legend");
  for (const name of ["header", "recipients", "body", "proof", "framing"]) {
    const item = create("li", `part-${name}`);
    item.append(create("span", "swatch"), parts[name].label);
    list.append(item);
  }
  return list;
}

/**
 * The element beside a message. It starts as a summary and opens to the visible
 * fields and the bytes. inspection is null for what is not an envelope.
 */
export function hopView({ sealed, inspection, room }) {
  const runs = inspection?.parts ?? [{ name: "unknown", offset: 0, size: sealed.length }];
  const view = create("details", "hop-view");
  const summary = create("summary", "hop-summary");
  summary.append(headline(sealed, inspection), bar(runs));
  view.append(summary);
  view.addEventListener("toggle", () => {
    if (!view.open || view.querySelector(".hop-detail")) return;
    const detail = create("div", "hop-detail");
    detail.append(inspection ? fields(inspection, runs, room) : damaged(), hexSection(sealed, runs));
    view.append(detail);
  });
  return view;
}

function headline(sealed, inspection) {
  const line = create("span", "hop-headline");
  line.append(hiddenText(12, inspection ? "the text is hidden" : "unreadable"), create("span", "hop-size", bytes(sealed.length)));
  if (inspection) line.append(create("span", "hop-readers", readers(inspection)));
  return line;
}

const readers = ({ recipients }) => `sealed to ${recipients.length} ${recipients.length === 1 ? "key" : "keys"}`;

function bar(runs) {
  const strip = create("span", "bar");
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", runs.map((r) => `${parts[r.name].label}: ${bytes(r.size)}`).join("; "));
  for (const run of runs) {
    if (run.name === "framing") continue; // a few bytes between the others
    const piece = create("span", `part-${run.name}`);
    piece.style.flexGrow = String(run.size);
    piece.title = `${parts[run.name].label}: ${bytes(run.size)}`;
    strip.append(piece);
  }
  return strip;
}

/** The fields that stand in the clear, and one that does not. */
function fields({ header, recipients }, runs, room) {
  const table = create("dl", "fields");
  const add = (name, value, className = "") => {
    const row = create("div", className);
    const cell = create("dd");
    cell.append(value);
    row.append(create("dt", "", name), cell);
    table.append(row);
  };
  const body = runs.find((r) => r.name === "body");
  add("Text", sealedText(body.size), "sealed");
  add("Room", nameElement(room));
  add("Sender", abbreviated(header.sender ?? "", (s) => grouped(s.slice(0, 15))));
  add("Time", header.time.toISOString().replace("T", " ").replace("Z", " UTC"));
  add("Sealed to", keyNames(recipients));
  add("Context", nameElement(header.context));
  add("Type", nameElement(header.contentType));
  add("Message id", abbreviated(header.id, (s) => s.slice(0, 16)));
  return table;
}

function sealedText(size) {
  const wrap = create("span");
  wrap.append(hiddenText(16, "hidden"), ` ${bytes(size)}, padded`);
  return wrap;
}

function hiddenText(length, label) {
  const value = create("span", "hidden-text", "▒".repeat(length));
  value.setAttribute("role", "img");
  value.setAttribute("aria-label", label);
  return value;
}

function keyNames(ids) {
  const names = ids.slice(0, 4).map((id) => `${id.slice(0, 8)}…`);
  if (ids.length > names.length) names.push(`and ${ids.length - names.length} more`);
  return abbreviated(ids.join(" "), () => names.join(" "));
}

function abbreviated(whole, shorten) {
  const value = create("span", "mono", shorten(whole) + (whole.length > 20 && !shorten(whole).endsWith("…") ? "…" : ""));
  value.title = whole;
  return value;
}

const damaged = () => create("p", "damaged", "This is not a whole message: cut short, or damaged on the way.");

/** The bytes, with a button for all of them. */
function hexSection(sealed, runs) {
  const section = create("div", "hex-section");
  const perLine = lineLength();
  const some = hexDump(sealed, runs, perLine, false);
  section.append(some.dump);
  if (!some.elided) return section;
  const button = create("button", "quiet small", `Show all ${bytes(sealed.length)}`);
  button.type = "button";
  button.addEventListener("click", () => {
    section.replaceChildren(hexDump(sealed, runs, perLine, true).dump);
  });
  section.append(button);
  return section;
}

function lineLength() {
  if (matchMedia("(min-width: 1280px)").matches) return 24;
  return matchMedia("(min-width: 720px)").matches ? 16 : 10;
}

/** Builds the dump line by line, leaving out the middle of long parts unless all is set. */
function hexDump(sealed, runs, perLine, all) {
  const dump = create("pre", "hex");
  dump.setAttribute("aria-hidden", "true"); // the table and the bar say it in words
  const wanted = shownLines(sealed.length, runs, perLine, all);
  let elided = 0;
  for (const [line, show] of wanted.entries()) {
    if (!show) {
      elided++;
      continue;
    }
    if (elided) dump.append(gap(elided * perLine));
    elided = 0;
    dump.append(hexLine(sealed, runs, line * perLine, perLine));
  }
  return { dump, elided: wanted.includes(false) };
}

function shownLines(size, runs, perLine, all) {
  const wanted = new Array(Math.ceil(size / perLine)).fill(all);
  for (const { name, offset, size } of runs) {
    const first = Math.floor(offset / perLine);
    const last = Math.floor((offset + size - 1) / perLine);
    for (let line = first; line <= last; line++) {
      if (line - first < parts[name].first || last - line < parts[name].last) wanted[line] = true;
    }
  }
  return wanted;
}

const gap = (n) => create("span", "gap", `      ⋯ ${bytes(n)} more ⋯\n`);

function hexLine(sealed, runs, start, perLine) {
  const line = create("span", "hex-line");
  line.append(create("span", "offset", start.toString(16).padStart(4, "0") + "  "));
  const end = Math.min(start + perLine, sealed.length);
  const pieces = runs
    .map((r) => ({ name: r.name, from: Math.max(r.offset, start), to: Math.min(r.offset + r.size, end) }))
    .filter((p) => p.from < p.to);
  for (const p of pieces) line.append(create("span", `part-${p.name}`, hex(sealed.subarray(p.from, p.to))));
  line.append("   ".repeat(perLine - (end - start)) + " ");
  for (const p of pieces) line.append(create("span", `part-${p.name}`, readable(sealed.subarray(p.from, p.to))));
  line.append("\n");
  return line;
}

const hex = (b) => Array.from(b, (c) => c.toString(16).padStart(2, "0") + " ").join("");
const readable = (b) => Array.from(b, (c) => (c >= 0x20 && c < 0x7f ? String.fromCharCode(c) : "·")).join("");

function create(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}
