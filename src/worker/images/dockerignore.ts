// Which files of a context `.dockerignore` leaves out. Its words look like those of .gitignore, and mean something
// else: every pattern counts from the context's root, the last one that matches decides, and what is below a
// folder that is left out can be taken in again.

interface Pattern {
  readonly negated: boolean;
  readonly form: RegExp;
}

/** True: the file or folder at that path, from the context's root, is left out. */
export type Ignored = (path: string) => boolean;

export function parseDockerignore(text: string): Ignored {
  const patterns = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .flatMap((line) => parsePattern(line) ?? []);
  if (patterns.length === 0) return () => false;
  const isIgnored = (path: string): boolean => {
    const ways = [...folders(path), path];
    let ignored = false;
    for (const { negated, form } of patterns) {
      // One that would change nothing need not be looked at.
      if (ignored === negated && ways.some((way) => form.test(way))) ignored = !negated;
    }
    return ignored;
  };
  return isIgnored;
}

function parsePattern(line: string): Pattern | null {
  if (line.startsWith("#")) return null;
  let words = line.trim();
  const negated = words.startsWith("!");
  if (negated) words = words.slice(1).trim();
  const path = clean(words);
  // Nothing of a context is outside of it.
  if (path === "" || path === ".." || path.startsWith("../")) return null;
  const form = formOf(path);
  return form && { negated, form };
}

/** As Go's filepath.Clean, without the first slash: "/a//b/../c/" is "a/c", and "../a" stays as it is. */
function clean(words: string): string {
  const parts: string[] = [];
  for (const part of words.split("/")) {
    if (part === "" || part === ".") continue;
    const isUp = part === "..";
    const isOutside = parts.length === 0 || parts.at(-1) === "..";
    if (!isUp || (isOutside && !words.startsWith("/"))) parts.push(part);
    else parts.pop();
  }
  return parts.join("/");
}

/** Null where it can match nothing. */
function formOf(path: string): RegExp | null {
  let form = "";
  for (let at = 0; at < path.length; at++) {
    const char = path[at]!;
    const set = /^\[(\^?)((?:\\.|[^\]\\])+)\]/.exec(path.slice(at));
    if (path.startsWith("**", at)) {
      at += 1;
      if (path[at + 1] === "/") {
        at += 1;
        form += "(?:.*/)?";
      } else form += ".*";
    } else if (char === "*") form += "[^/]*";
    else if (char === "?") form += "[^/]";
    else if (set) {
      form += `(?!/)[${set[1]}${set[2]!.replace(/\[/g, "\\[")}]`;
      at += set[0].length - 1;
    } else {
      const isEscape = char === "\\" && at + 1 < path.length;
      if (isEscape) at += 1;
      form += path[at]!.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
    }
  }
  try {
    return new RegExp(`^${form}$`, "s");
  } catch {
    return null;
  }
}

/** "a/b/c" lies in "a" and "a/b". */
function folders(path: string): string[] {
  const found: string[] = [];
  for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1))
    found.push(path.slice(0, at));
  return found;
}
