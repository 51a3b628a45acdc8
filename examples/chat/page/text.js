// Showing text that somebody else chose: as text, never as markup, with every
// character visible that would hide, reorder or forge what stands around it.

// Controls, format characters (the bidirectional ones among them), odd spaces,
// line separators, private use, and letters that show nothing.
const sneaky = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}/gu;
// In a message, line feeds and tabs are layout, joiners make emoji, and a
// no-break space is a space.
const layout = new Set(["\n", "\t", "\u200c", "\u200d", "\u00a0"]);

const longestName = 80; // characters; the relay's rule is 64 bytes, and it may break it

/** An element for a name: one line, nothing invisible in it. */
export function nameElement(name, tag = "span") {
  const cut = [...name];
  const shown = cut.length > longestName ? cut.slice(0, longestName).join("") + "…" : name;
  return foreign(shown, tag, () => false);
}

/** An element for a message: several lines, nothing else that acts. */
export function textElement(text, tag = "p") {
  return foreign(text, tag, (c) => layout.has(c));
}

function foreign(text, tag, harmless) {
  const element = document.createElement(tag);
  element.className = "foreign";
  element.dir = "auto";
  let from = 0;
  for (const { 0: character, index } of text.matchAll(sneaky)) {
    if (harmless(character)) continue;
    element.append(text.slice(from, index), escape(character));
    from = index + character.length;
  }
  element.append(text.slice(from));
  return element;
}

const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(character) {
  const element = document.createElement("span");
  element.className = "escaped";
  element.title = "A character that would not show";
  element.textContent = short[character] ?? `\\u{${character.codePointAt(0).toString(16)}}`;
  return element;
}

/** "fp1abcdefgh" as "fp1 abcd efgh", for reading it out. */
export const grouped = (fingerprint) => [fingerprint.slice(0, 3), ...fingerprint.slice(3).match(/.{1,4}/g)].join(" ");

/** An element for a fingerprint, whose groups stand in columns. */
export function fingerprintElement(fingerprint) {
  const element = document.createElement("div");
  element.className = "fingerprint";
  for (const group of grouped(fingerprint).split(" ")) {
    const span = document.createElement("span");
    span.textContent = group;
    element.append(element.firstChild ? " " : "", span);
  }
  return element;
}
