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
  const form = new RegExp(`^${anchored ? "" : "(?:.*/)?"}${formOf(words)}$`, "s");
  return { negated, foldersOnly, form };
}

function formOf(words: string): string {
  let form = "";
  for (let at = 0; at < words.length; at++) {
    const rest = words.slice(at);
    const set = /^\[(!?\]?(?:\\.|[^\]])*)\]/.exec(rest);
    if (rest.startsWith("**/") && (at === 0 || words[at - 1] === "/")) {
      form += "(?:.*/)?";
      at += 2;
    } else if (rest === "**" && words[at - 1] === "/") {
      form += ".+";
      at += 1;
    } else if (rest[0] === "*") form += "[^/]*";
    else if (rest[0] === "?") form += "[^/]";
    else if (set) {
      form += `(?!/)[${set[1]!
        .replace(/^!/, "^")
        .replace(/\[/g, "\\[")
        .replace(/^(\^?)\]/, "$1\\]")}]`;
      at += set[0].length - 1;
    } else {
      if (rest[0] === "\\" && rest.length > 1) at += 1;
      form += words[at]!.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    }
  }
  return form;
}
