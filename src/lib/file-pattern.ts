// Which files of a folder are meant by patterns with `*`, `**`, `?` and `{a,b}`. As `files(...)` of a pipedef
// knows them; a leading dot must be written out. Names may come from anywhere, so matching takes linear time.

/** Null stands for `**`: any number of folders, also none. */
type Segment = string | null;

const longestPattern = 1024;
const mostAlternatives = 256;

export interface FilePattern {
  /** As it was written. */
  readonly text: string;
  /** The folder, or the one file, that all it may mean is in. Without "/" at its ends; "": anywhere. */
  readonly home: string;
  matches(path: string): boolean;
  /** Whether it may mean a file somewhere below that folder. */
  mayMatchIn(folder: string): boolean;
}

/** What is wrong with it, as the end of a sentence; null: nothing. */
export function patternProblem(text: string): string | null {
  if (text === "" || text.length > longestPattern || text.includes("\0")) {
    return `must be a path or a pattern of at most ${longestPattern} characters`;
  }
  const alternatives = expandBraces(text);
  if (alternatives === null) return "has too many alternatives in braces";
  // Braces may hide what leads out.
  if (alternatives.some((one) => one.startsWith("/") || one.split("/").includes(".."))) {
    return "must stay in the folder that the command starts in";
  }
  const namesNoFile = (one: string) => one.endsWith("/") || partsOf(one).length === 0;
  return alternatives.some(namesNoFile) ? "must name files, such as dist/**" : null;
}

export function filePattern(text: string): FilePattern {
  const alternatives = (expandBraces(text) ?? []).map((one) =>
    partsOf(one).map((segment): Segment => (segment === "**" ? null : segment)),
  );
  const homes = alternatives.map(homeOf);
  const [home = ""] = homes;
  return {
    text,
    home: homes.every((other) => other === home) ? home : "",
    matches: (path) => {
      const names = path.split("/");
      return alternatives.some((segments) => matchesAll(segments, names));
    },
    mayMatchIn: (folder) => {
      const names = folder.split("/");
      return alternatives.some((segments) =>
        [...placesAfter(segments, names)].some((place) => place < segments.length),
      );
    },
  };
}

/** "./a//b" is "a/b". */
function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

/** The leading segments without a wildcard. */
function homeOf(segments: readonly Segment[]): string {
  const first = segments.findIndex((segment) => segment === null || /[*?]/.test(segment));
  return segments.slice(0, first < 0 ? segments.length : first).join("/");
}

function matchesAll(segments: readonly Segment[], names: readonly string[]): boolean {
  const last = segments.length - 1;
  const segment = segments[last];
  const name = names.at(-1);
  if (name === undefined || segment === undefined) return false;
  if (!placesAfter(segments, names.slice(0, -1)).has(last)) return false;
  // At its end "**" means every file.
  return segment === null ? !name.startsWith(".") : matchesName(segment, name);
}

/** The places in the pattern that these folders may lead to. */
function placesAfter(segments: readonly Segment[], folders: readonly string[]): Set<number> {
  let places = withoutFolders(new Set([0]), segments);
  for (const name of folders) {
    const next = new Set<number>();
    for (const place of places) {
      const segment = segments[place];
      if (segment === null) {
        if (!name.startsWith(".")) next.add(place);
      } else if (segment !== undefined && matchesName(segment, name)) next.add(place + 1);
    }
    places = withoutFolders(next, segments);
  }
  return places;
}

/** `**` may stand for no folder at all. */
function withoutFolders(places: ReadonlySet<number>, segments: readonly Segment[]): Set<number> {
  const all = new Set(places);
  for (const place of all) {
    if (segments[place] === null && place < segments.length - 1) all.add(place + 1);
  }
  return all;
}

function matchesName(pattern: string, name: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  let p = 0;
  let n = 0;
  let star = -1;
  let starAt = 0;
  while (n < name.length) {
    if (pattern[p] === "*") {
      star = p++;
      starAt = n;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[n])) {
      p += 1;
      n += 1;
    } else if (star >= 0) {
      p = star + 1;
      n = ++starAt;
    } else return false;
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}

/** "a.{js,ts}" is "a.js" and "a.ts"; braces may hold braces. Null: there are too many. */
function expandBraces(pattern: string): string[] | null {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0) {
    if (done.length + open.length > mostAlternatives) return null;
    const one = open.shift()!;
    const parts = firstBraces(one);
    if (parts) open.push(...parts);
    else done.push(one);
  }
  return done;
}

/** With each alternative of the first braces in their place; null where there are none. */
function firstBraces(pattern: string): string[] | null {
  const open = pattern.indexOf("{");
  if (open < 0) return null;
  let depth = 0;
  let start = open + 1;
  const parts: string[] = [];
  for (let i = open; i < pattern.length; i += 1) {
    const char = pattern[i];
    if (char === "{") depth += 1;
    if (char === "," && depth === 1) {
      parts.push(pattern.slice(start, i));
      start = i + 1;
    }
    if (char !== "}") continue;
    depth -= 1;
    if (depth > 0) continue;
    parts.push(pattern.slice(start, i));
    return parts.map((part) => pattern.slice(0, open) + part + pattern.slice(i + 1));
  }
  return null;
}
