// The hop view: what the relay saw of one message. Everything in it can be
// computed by anybody who has the bytes; no key is used.

import { grouped, nameElement } from "./text.js";

const offsetWidth = 6; // characters
const number = new Intl.NumberFormat("en");
const bytes = (n) => `${number.format(n)} ${n === 1 ? "byte" : "bytes"}`;

// How a hop sees each part, and how much of it the hex shows before it is opened
// in full: lines at the beginning and at the end.
const parts = {
  header: { label: "header, readable", first: 1, last: 4 },
  recipients: { label: "readers\u2019 keys, sealed", first: 2, last: 1 },
  body: { label: "text, sealed", first: 3, last: 1 },
  proof: { label: "proof, a signature", first: 2, last: 1 },
  framing: { label: "framing", first: 1, last: 1 },
  unknown: { label: "not a whole message", first: 4, last: 1 },
};

/** The legend of the colours. */
export function legend() {
  const list = create("ul", "legend");
  for (const [name, { label }] of Object.entries(parts)) {
    if (name === "unknown") continue;
    const item = create("li", `part-${name}`);
    item.append(create("span", "swatch"), label);
    list.append(item);
  }
  return list;
}

/**
 * What stands beside a message: its element, and open(), for when that is in the
 * page. It starts as a summary and opens to the visible fields and the bytes.
 * inspection is null for what is not an envelope, from undefined where the relay
 * names nobody.
 */
export function hopView({ sealed, inspection, from, room }) {
  const runs = inspection?.parts ?? [{ name: "unknown", offset: 0, size: sealed.length }];
  const view = create("details", "hop-view");
  const summary = create("summary", "hop-summary");
  summary.append(headline(sealed, inspection), glimpse(sealed, runs), bar(runs));
  view.append(summary);
  const fill = () => {
    if (!view.open || view.querySelector(".hop-detail")) return;
    const detail = create("div", "hop-detail");
    view.append(detail);
    detail.append(inspection ? fields(inspection, runs, from, room) : damaged(), hexSection(sealed, runs, detail));
  };
  view.addEventListener("toggle", fill);
  const open = () => {
    view.open = true;
    fill(); // now, since the event comes later than the caller measures
  };
  return { element: view, open };
}

function headline(sealed, inspection) {
  const facts = [bytes(sealed.length)];
  if (inspection) facts.push(readers(inspection), `${inspection.header.time.toISOString().slice(11, 19)} UTC`);
  return create("span", "hop-headline", facts.join("  ·  "));
}

/** The beginning of the text, as the hop has it. */
function glimpse(sealed, runs) {
  const { name, offset } = runs.find((r) => r.name === "body") ?? runs[0];
  const element = create("span", `glimpse part-${name}`, hex(sealed.subarray(offset, offset + 48)));
  element.setAttribute("aria-hidden", "true");
  return element;
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
function fields({ header, recipients }, runs, from, room) {
  const table = create("dl", "fields");
  const add = (name, value, className = "") => {
    const row = create("div", className);
    const cell = create("dd");
    cell.append(value);
    row.append(create("dt", "", name), cell);
    table.append(row);
  };
  const body = runs.find((r) => r.name === "body");
  add("Text", sealedText(body), "sealed");
  add("Member", fromWhom(from, room));
  add("Sender key", abbreviated(header.sender ?? "", (s) => grouped(s.slice(0, 15))));
  add("Time", header.time.toISOString().replace("T", " ").replace("Z", " UTC"));
  add("Sealed to", keyNames(recipients));
  add("Context", nameElement(header.context));
  add("Type", nameElement(header.contentType));
  add("Message id", abbreviated(header.id, (s) => s.slice(0, 16)));
  return table;
}

function sealedText({ size }) {
  const wrap = create("span");
  const blocks = create("span", "blocks", "▒".repeat(6));
  blocks.setAttribute("aria-hidden", "true");
  wrap.append(blocks, ` hidden, ${bytes(size)}`);
  return wrap;
}

function fromWhom(from, room) {
  const wrap = create("span");
  wrap.append(from === undefined ? "unknown" : nameElement(from), " in ", nameElement(room));
  return wrap;
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

/** The bytes, in lines as long as fit, with a button for all of them. */
function hexSection(sealed, runs, within) {
  const section = create("div", "hex-section");
  let perLine = 0;
  let all = false;
  const draw = () => {
    const { dump, elided } = hexDump(sealed, runs, perLine, all);
    section.replaceChildren(dump);
    if (!elided) return;
    const button = create("button", "quiet small", `Show all ${bytes(sealed.length)}`);
    button.type = "button";
    button.addEventListener("click", () => {
      all = true;
      draw();
    });
    section.append(button);
  };
  const fit = () => {
    const length = lineLength(within);
    if (length === perLine) return;
    perLine = length;
    draw();
  };
  fit();
  new ResizeObserver(fit).observe(within);
  return section;
}

/** How many bytes fit into a line: each takes three characters as hex, one as text. */
function lineLength(within) {
  const probe = create("pre", "hex probe", "0".repeat(100));
  within.append(probe);
  const characters = within.clientWidth / (probe.offsetWidth / 100);
  probe.remove();
  return Math.max(8, Math.min(32, Math.floor((characters - offsetWidth - 4) / 4)) & ~1);
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
  // A gap of one line would save nothing.
  for (let line = 1; line < wanted.length; line++) {
    if (wanted[line - 1] && wanted[line + 1]) wanted[line] = true;
  }
  return wanted;
}

const gap = (n) => create("span", "gap", `      ⋯ ${bytes(n)} more ⋯\n`);

function hexLine(sealed, runs, start, perLine) {
  const line = create("span", "hex-line");
  line.append(create("span", "offset", start.toString(16).padStart(4, "0").padEnd(offsetWidth)));
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
