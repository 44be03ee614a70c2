// A line of output as the parts that are painted: text in a look, links, and characters that could
// deceive whoever reads them. Only text: nothing in it can become markup.

import { type Look, plainLook } from "../../src/model/sgr.js";
import { parseLine, type Span } from "../../src/model/terminal-line.js";

export type Part = (
  | { readonly kind: "text" }
  /** Leads where its text says. */
  | { readonly kind: "link"; readonly href: string }
  /** Cannot be seen, or turns around what follows: its code is shown instead. */
  | { readonly kind: "odd"; readonly words: string }
) & { readonly text: string; readonly look: Look; readonly isHit?: boolean };

export interface LineParts {
  readonly parts: readonly Part[];
  /** All of it as text, as it is searched. */
  readonly text: string;
}

export function partsOf(raw: string, start: Look = plainLook): LineParts {
  const { spans } = parseLine(raw, start);
  const text = spans.map((span) => span.text).join("");
  return { parts: spans.length === 0 ? [] : markOdd(markLinks(spans, text)), text };
}

export function lookAfter(raw: string, start: Look): Look {
  return raw.includes("\x1b") ? parseLine(raw, start).look : start;
}

// Letters of other scripts end a link: they may look like those they are not. So does "@" before the
// host's end: what stands before it is no host, though it looks like one.
const links = /\bhttps?:\/\/(?![^\s/?#]*@)[\w[][!#-;=?-[\]_a-z~]*/gi;

function markLinks(spans: readonly Span[], text: string): Part[] {
  if (!text.includes("://")) return spans.map((span) => ({ kind: "text", ...span }));
  const found = [...text.matchAll(links)].map((match) => {
    const href = trimLink(match[0]);
    return { from: match.index, to: match.index + href.length, href };
  });
  return cutAt(spans, found, (span, link) => ({ kind: "link", href: link.href, ...span }));
}

/** "(see http://x/y)." ends with the y. */
function trimLink(link: string): string {
  let result = link;
  for (;;) {
    const last = result.at(-1)!;
    const isStop = ".,:;!?'*_~".includes(last);
    const opening = { ")": "(", "]": "[" }[last];
    const isUnopened = opening !== undefined && count(result, opening) < count(result, last);
    if (!isStop && !isUnopened) return result;
    result = result.slice(0, -1);
  }
}

function count(text: string, char: string): number {
  return text.split(char).length - 1;
}

interface Place {
  readonly from: number;
  readonly to: number;
}

/** Cuts the spans where places begin and end; what lies in a place becomes what `make` makes of it. */
function cutAt<P extends Place>(
  spans: readonly Span[],
  places: readonly P[],
  make: (span: Span, place: P) => Part,
): Part[] {
  const parts: Part[] = [];
  let next = 0;
  let at = 0;
  for (const { text, look } of spans) {
    const end = at + text.length;
    let from = at;
    while (from < end) {
      while (next < places.length && places[next]!.to <= from) next += 1;
      const place = places[next];
      const isInside = place !== undefined && place.from <= from;
      const to = Math.min(end, place === undefined ? end : isInside ? place.to : place.from);
      const piece = { text: text.slice(from - at, to - at), look };
      parts.push(isInside ? make(piece, place) : { kind: "text", ...piece });
      from = to;
    }
    at = end;
  }
  return parts;
}

// Marks of direction, separators of lines and paragraphs, spaces without width, tags, fillers. A joiner
// belongs to what it joins; alone it is odd as well.
const odd =
  /\u034f|\u17b4|\u17b5|[\u180b-\u180d\u180f]|[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|(?<![\p{L}\p{M}\p{Extended_Pictographic}])(?<!\p{Emoji_Modifier})[\u200c\u200d]|[\u200c\u200d](?![\p{L}\p{M}\p{Extended_Pictographic}])/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all that is surely not odd
const maybeOdd = /[^\x00-\xac\xae-\u034e]/;
const allOdd = new RegExp(odd, "gu");

function markOdd(parts: readonly Part[]): Part[] {
  if (!parts.some(({ text }) => maybeOdd.test(text))) return [...parts];
  return parts.flatMap((part) => (odd.test(part.text) ? cutOdd(part) : [part]));
}

function cutOdd(part: Part): Part[] {
  const parts: Part[] = [];
  let at = 0;
  for (const match of part.text.matchAll(allOdd)) {
    if (match.index > at) parts.push({ ...part, text: part.text.slice(at, match.index) });
    const code = match[0].codePointAt(0)!;
    const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    parts.push({ kind: "odd", text: match[0], look: part.look, words: name });
    at = match.index + match[0].length;
  }
  if (at < part.text.length) parts.push({ ...part, text: part.text.slice(at) });
  return parts;
}

/** Marks what a search found in the line. */
export function markHits(line: LineParts, hits: readonly Place[]): readonly Part[] {
  if (hits.length === 0) return line.parts;
  const parts: Part[] = [];
  let at = 0;
  let next = 0;
  for (const part of line.parts) {
    const end = at + part.text.length;
    let from = at;
    while (from < end) {
      while (next < hits.length && hits[next]!.to <= from) next += 1;
      const hit = hits[next];
      const isInside = hit !== undefined && hit.from <= from;
      const to = Math.min(end, hit === undefined ? end : isInside ? hit.to : hit.from);
      const piece =
        from === at && to === end ? part : { ...part, text: part.text.slice(from - at, to - at) };
      parts.push(isInside ? { ...piece, isHit: true } : piece);
      from = to;
    }
    at = end;
  }
  return parts;
}
