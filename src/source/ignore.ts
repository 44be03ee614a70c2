// Patterns of a .bettertestignore: the words of .gitignore.

interface Pattern {
  readonly negated: boolean;
  readonly foldersOnly: boolean;
  readonly form: RegExp;
}

/** True: the path, a folder or not, is left out. Of what is below a folder that is left out nobody need ask. */
export type Ignore = (path: string, isFolder: boolean) => boolean;

export function parseIgnore(text: string): Ignore {
  const patterns = text.split(/\r?\n/).flatMap((line) => parsePattern(line) ?? []);
  if (patterns.length === 0) return () => false;
  return (path, isFolder) => {
    let ignored = false;
    for (const { negated, foldersOnly, form } of patterns) {
      if (ignored === negated && (isFolder || !foldersOnly) && form.test(path)) ignored = !negated;
    }
    return ignored;
  };
}

function parsePattern(line: string): Pattern | null {
  let words = line.replace(/(?<!\\)[ \t]+$/, "");
  if (words === "" || words.startsWith("#")) return null;
  const negated = words.startsWith("!");
  if (negated) words = words.slice(1);
  const foldersOnly = words.endsWith("/");
  if (foldersOnly) words = words.slice(0, -1);
  const anchored = words.includes("/");
  if (words.startsWith("/")) words = words.slice(1);
  const form = formOf(words);
  if (form === null) return null;
  const whole = new RegExp(`^${anchored ? "" : "(?:.*/)?"}${form}$`, "s");
  return { negated, foldersOnly, form: whole };
}

/** Null: it matches nothing. */
function formOf(words: string): string | null {
  let form = "";
  for (let at = 0; at < words.length; at++) {
    const rest = words.slice(at);
    if (rest.startsWith("**/") && (at === 0 || words[at - 1] === "/")) {
      form += "(?:.*/)?";
      at += 2;
    } else if (rest === "**" && words[at - 1] === "/") {
      form += ".+";
      at += 1;
    } else if (rest[0] === "*") form += "[^/]*";
    else if (rest[0] === "?") form += "[^/]";
    else if (rest[0] === "[") {
      const set = setOf(rest);
      if (!set) return null;
      form += set.form;
      at += set.length - 1;
    } else {
      if (rest[0] === "\\") at += 1;
      if (at === words.length) return null;
      form += escaped(words[at]!);
    }
  }
  return form;
}

/** A class, a range, or a character; a "]" is one where it comes first. */
const member = /\[:([^\]]*):\]|(\\.|[^\\])(?:-(\\.|[^\]\\]))?/sy;

/** At the head of the words, as git reads it. Null: it has no end, or a class that is none. */
function setOf(words: string): { readonly form: string; readonly length: number } | null {
  const isNegated = words[1] === "!" || words[1] === "^";
  member.lastIndex = isNegated ? 2 : 1;
  let members = "";
  do {
    const found = member.exec(words);
    if (!found) return null;
    const [, name, first, last] = found;
    if (name !== undefined && !Object.hasOwn(classes, name)) return null;
    if (first === undefined) members += classes[name!];
    else {
      const from = first.at(-1)!;
      const to = last?.at(-1) ?? from;
      // Of a range that ends before it begins git takes the beginning.
      members += from < to ? `${escaped(from)}-${escaped(to)}` : escaped(from);
    }
  } while (words[member.lastIndex] !== "]");
  return {
    form: `(?!/)[${isNegated ? "^" : ""}${members}]`,
    length: member.lastIndex + 1,
  };
}

const classes: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  blank: " \\t",
  cntrl: "\\x00-\\x1f\\x7f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`{-~",
  space: " \\t\\n\\r",
  upper: "A-Z",
  xdigit: "0-9A-Fa-f",
};

function escaped(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
}
