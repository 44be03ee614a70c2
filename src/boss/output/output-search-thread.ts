// Searches one output, in a thread of its own: a pattern from outside may take for ever, and a thread can
// be ended. Line by line, in what people read: without escape sequences.

import { closeSync, openSync, readSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { plainText } from "../../model/terminal-line.js";
import { errorWeight, errorWords } from "./error-lines.js";
import { diffOutputs } from "./output-diff.js";

export interface SearchOrder {
  readonly path: string;
  /** Where to begin: a line from 0, and its offset. */
  readonly line: number;
  readonly offset: number;
  readonly bytes: number;
  readonly what:
    | { readonly kind: "text"; readonly text: string; readonly matchCase: boolean }
    | { readonly kind: "regex"; readonly source: string; readonly matchCase: boolean }
    | { readonly kind: "errors" };
}

/** Lines from 0. */
export interface SearchPart {
  readonly lines: readonly number[];
  /** Of errors only, one for each line. */
  readonly weights?: readonly number[];
  /** All matching lines so far, those beyond the limit too. */
  readonly count: number;
  /** Bytes read so far. */
  readonly read: number;
  readonly done: boolean;
}

/** More are counted, but not listed. */
export const maxListed = 500_000;

const blockBytes = 1024 * 1024;
/** The pieces of a line that is longer than a block have so much in common. */
const overlap = 1024;

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what it looks for
const colors = /\x1b\[[\d;:]*m/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: everything but tab and line feed
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

export function* search(order: SearchOrder): Generator<SearchPart> {
  const find = finderOf(order.what);
  const file = openSync(order.path, "r");
  const buffer = Buffer.allocUnsafe(blockBytes);
  let rest: Buffer = Buffer.alloc(0);
  let { line, offset } = order;
  let count = 0;
  let listed = 0;
  let last = -1;
  let isDone = false;
  try {
    while (!isDone) {
      const size = Math.min(buffer.length, order.bytes - offset);
      const read = size > 0 ? readSync(file, buffer, 0, size, offset) : 0;
      offset += read;
      isDone = read === 0;
      const bytes =
        rest.length > 0
          ? Buffer.concat([rest, buffer.subarray(0, read)])
          : buffer.subarray(0, read);
      let end = isDone ? bytes.length : bytes.lastIndexOf(10) + 1;
      // Within a line longer than a block.
      const isPiece = end === 0 && bytes.length >= blockBytes;
      if (isPiece) end = bytes.length;
      const text = readable(bytes.toString("utf8", 0, end));
      const lines: number[] = [];
      const weights: number[] = [];
      const feeds = find(text, (lineInText, weight) => {
        const found = line + lineInText;
        if (found === last) return;
        last = found;
        count += 1;
        if (listed >= maxListed) return;
        listed += 1;
        lines.push(found);
        if (weight !== undefined) weights.push(weight);
      });
      line += isPiece ? 0 : feeds;
      rest = Buffer.from(bytes.subarray(isPiece ? Math.max(0, end - overlap) : end));
      const hasWeights = order.what.kind === "errors";
      yield {
        lines,
        ...(hasWeights && { weights }),
        count,
        read: offset - order.offset,
        done: isDone,
      };
    }
  } finally {
    closeSync(file);
  }
}

function readable(text: string): string {
  if (!controls.test(text)) return text;
  const bare = text.replace(colors, "");
  if (!controls.test(bare)) return bare;
  return text
    .split("\n")
    .map((line) => (controls.test(line) ? plainText(line) : line))
    .join("\n");
}

/** Tells of every line of a text that matches; returns how many lines end in it. */
type Finder = (text: string, found: (line: number, weight?: number) => void) => number;

function finderOf(what: SearchOrder["what"]): Finder {
  if (what.kind === "errors") {
    return eachCandidate(new RegExp(errorWords, "gi"), (line) => errorWeight(line));
  }
  if (what.kind === "text") return findText(what.text, what.matchCase);
  const pattern = new RegExp(what.source, what.matchCase ? "" : "i");
  return (text, found) => {
    let start = 0;
    let line = 0;
    for (let feed = text.indexOf("\n"); feed !== -1; feed = text.indexOf("\n", start)) {
      if (pattern.test(text.slice(start, feed))) found(line);
      start = feed + 1;
      line += 1;
    }
    if (start < text.length && pattern.test(text.slice(start))) found(line);
    return line;
  };
}

function findText(wanted: string, matchCase: boolean): Finder {
  const needle = matchCase ? wanted : wanted.toLowerCase();
  return (text, found) => {
    const hay = matchCase ? text : text.toLowerCase();
    const lines = new LineCounter(hay);
    for (let at = hay.indexOf(needle); at !== -1; at = hay.indexOf(needle, lines.start)) {
      found(lines.goTo(at));
      if (!lines.next()) break;
    }
    return lines.rest();
  };
}

function eachCandidate(words: RegExp, weigh: (line: string) => number): Finder {
  return (text, found) => {
    const lines = new LineCounter(text);
    words.lastIndex = 0;
    for (let match = words.exec(text); match; match = words.exec(text)) {
      const line = lines.goTo(match.index);
      const weight = weigh(text.slice(lines.start, lines.end));
      if (weight > 0) found(line, weight);
      if (!lines.next()) break;
      words.lastIndex = lines.start;
    }
    return lines.rest();
  };
}

/** Counts line feeds, each once, while going through a text. */
class LineCounter {
  readonly #text: string;
  #line = 0;
  start = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The line that holds this place. */
  goTo(at: number): number {
    for (let feed = this.#text.indexOf("\n", this.start); feed !== -1 && feed < at; ) {
      this.#line += 1;
      this.start = feed + 1;
      feed = this.#text.indexOf("\n", this.start);
    }
    return this.#line;
  }

  get end(): number {
    const feed = this.#text.indexOf("\n", this.start);
    return feed === -1 ? this.#text.length : feed;
  }

  /** False where there is no next line. */
  next(): boolean {
    const feed = this.#text.indexOf("\n", this.start);
    if (feed === -1) {
      this.start = this.#text.length;
      return false;
    }
    this.#line += 1;
    this.start = feed + 1;
    return true;
  }

  rest(): number {
    while (this.next());
    return this.#line;
  }
}

if (parentPort && workerData?.search) {
  for (const part of search(workerData.search)) parentPort.postMessage(part);
} else if (parentPort && workerData?.diff) {
  parentPort.postMessage({ ...diffOutputs(workerData.diff), done: true });
}
