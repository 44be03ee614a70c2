// What the reader looks for, and where it is in a line that is shown.

export interface Query {
  readonly text: string;
  readonly isRegex: boolean;
  readonly matchCase: boolean;
}

/** A pattern is tried here on no line that the boss has not searched within its time, nor on a long one. */
const maxRegexChars = 2000;
const maxHits = 200;

export function queryParameters({ text, isRegex, matchCase }: Query): string {
  const parameters = new URLSearchParams({ q: text });
  if (isRegex) parameters.set("regex", "1");
  if (matchCase) parameters.set("case", "1");
  return parameters.toString();
}

/** Places in a line that the boss says does match. */
export function hitsIn(text: string, query: Query): { from: number; to: number }[] {
  if (query.isRegex) return firstRegexHit(text, query);
  const isSameLength = text.toLowerCase().length === text.length;
  const fold = (some: string) => (query.matchCase || !isSameLength ? some : some.toLowerCase());
  const hay = fold(text);
  const needle = fold(query.text);
  const hits: { from: number; to: number }[] = [];
  for (let at = hay.indexOf(needle); at !== -1 && hits.length < maxHits; ) {
    hits.push({ from: at, to: at + needle.length });
    at = hay.indexOf(needle, at + needle.length);
  }
  return hits;
}

/** Only the first: that one the boss has found in its time, of further ones nobody knows how long they take. */
function firstRegexHit(text: string, { text: source, matchCase }: Query) {
  if (text.length > maxRegexChars) return [];
  try {
    const match = new RegExp(source, matchCase ? "" : "i").exec(text);
    return match && match[0] !== ""
      ? [{ from: match.index, to: match.index + match[0].length }]
      : [];
  } catch {
    return [];
  }
}
