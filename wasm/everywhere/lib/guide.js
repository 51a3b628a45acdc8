// The blocks of docs/browser.md, which are the files and commands that the tests use: a reader gets what was run.
import { readFileSync } from "node:fs";

// readGuide returns a function that gives the blocks of a section by name: { files: { name: text }, commands: [line] }.
// A block is a file where its first line is a comment with the file's name, and of commands where it is one of the shell.
export function readGuide(path) {
  const used = new Set();
  const sections = new Map();
  for (const [, title, body] of readFileSync(path, "utf8").matchAll(/^## (.*)\n([^]*?)(?=^## |$(?![^]))/gm)) {
    const found = { files: {}, commands: [] };
    for (const [, language, text] of body.matchAll(/^```(\w*)\n([^]*?)^```$/gm)) {
      const name = /^(?:\/\/|<!--) ([\w./-]+)/.exec(text)?.[1];
      if (language === "sh") found.commands.push(...text.trim().split("\n"));
      else if (name) found.files[name] = text;
      else throw new Error(`docs/browser.md: a block under "${title}" names no file:\n${text}`);
    }
    sections.set(title, found);
  }
  const guide = (title) => {
    if (!sections.has(title)) throw new Error(`docs/browser.md has no section "${title}"`);
    used.add(title);
    return sections.get(title);
  };
  // unused lists the sections with blocks that nobody asked for.
  guide.unused = () =>
    [...sections]
      .filter(([title, { files, commands }]) => !used.has(title) && (commands.length || Object.keys(files).length))
      .map(([title]) => title);
  return guide;
}
