// Where the lines of an output are: a sparse index, fed with its bytes once, in order. It also finds what
// can be folded: sections, and lines that are repeated.

import { maxSectionName, sectionBytes, sectionMark } from "../../model/output-sections.js";
import { applySgr, decodeLook, encodeLook } from "../../model/sgr.js";

/** A place where a line begins. */
export interface Checkpoint {
  /** From 0. */
  readonly line: number;
  readonly offset: number;
  /** How text looks there: see encodeLook. */
  readonly look: string;
}

/** Lines from `first` to `last`, from 0; `last` is null while its end is not known. */
export interface Fold {
  readonly kind: "group" | "headline" | "repeat";
  readonly first: number;
  last: number | null;
  /** Grows with every change of any fold, so that a reader can ask for what is new. */
  stamp: number;
}

const linesBetween = 256;
const bytesBetween = 64 * 1024;
/** Longer lines are not compared with each other. */
const maxComparedBytes = 4096;
/** Fewer equal lines in a row are no nuisance. */
const minRepeats = 4;
export const maxFolds = 20_000;
const maxDepth = 8;
const maxEscapeBytes = 128;

const lineFeed = 10;
const escapeByte = 0x1b;

export class LineIndex {
  /** Bytes seen so far. */
  bytes = 0;
  /** True once no more will come. */
  ended = false;
  readonly checkpoints: Checkpoint[] = [{ line: 0, offset: 0, look: "" }];
  readonly folds: Fold[] = [];
  stamp = 0;

  #lineFeeds = 0;
  #lineStart = 0;
  #look = "";
  /** What came of an escape sequence, when a chunk ended within it. */
  #escape = "";
  /** The beginning of a line that began in an earlier chunk. */
  #carry: Buffer = Buffer.alloc(0);
  /** The bytes that the line before stands in, where it can be compared with; no object for each line. */
  #previous: Buffer | null = null;
  #previousStart = 0;
  #previousEnd = 0;
  #equal = 1;
  #repeat: Fold | null = null;
  readonly #open: Fold[] = [];
  #headline: Fold | null = null;
  /** "--- a/file", which the next line may turn into a part of a diff. */
  #maybeHeadline: Fold | null = null;
  readonly #transitions = new Map<string, string>();

  /** Counts an unfinished last line too. */
  get lines(): number {
    return this.#lineFeeds + (this.bytes > this.#lineStart ? 1 : 0);
  }

  /** The last known place at or before this line. */
  before(line: number): Checkpoint {
    let low = 0;
    let high = this.checkpoints.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.checkpoints[middle]!.line <= line) low = middle;
      else high = middle - 1;
    }
    return this.checkpoints[low]!;
  }

  /** The first known place after this line; null where none is known yet. */
  after(line: number): Checkpoint | null {
    let low = 0;
    let high = this.checkpoints.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.checkpoints[middle]!.line > line) high = middle;
      else low = middle + 1;
    }
    return this.checkpoints[low] ?? null;
  }

  foldsSince(stamp: number): Fold[] {
    return stamp === this.stamp ? [] : this.folds.filter((fold) => fold.stamp > stamp);
  }

  /** What is needed of the chunk later is copied, so its memory may be used again. */
  append(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const base = this.bytes;
    let start = 0;
    let at = this.#escape === "" ? 0 : this.#continueEscape(bytes);
    let esc = bytes.indexOf(escapeByte, at);
    let feed = bytes.indexOf(lineFeed, 0);
    while (feed !== -1 || esc !== -1) {
      if (esc !== -1 && (feed === -1 || esc < feed)) {
        at = this.#readEscape(bytes, esc + 1);
        esc = bytes.indexOf(escapeByte, at);
        continue;
      }
      this.#endLine(bytes, start, feed, base);
      start = feed + 1;
      feed = bytes.indexOf(lineFeed, start);
    }
    this.bytes = base + bytes.length;
    if (this.#previous === bytes) {
      this.#keepPrevious(Buffer.from(bytes.subarray(this.#previousStart, this.#previousEnd)));
    }
    if (start < bytes.length && this.#carry.length <= maxComparedBytes) {
      const rest = bytes.subarray(start, start + maxComparedBytes + 1);
      this.#carry =
        this.#carry.length === 0 ? Buffer.from(rest) : Buffer.concat([this.#carry, rest]);
    }
  }

  end(): void {
    this.ended = true;
    if (this.bytes > this.#lineStart && this.#carry.length <= maxComparedBytes) {
      this.#mark(this.#carry, 0, this.#carry.length, this.#lineFeeds);
    }
    for (const fold of [...this.#open, ...(this.#headline ? [this.#headline] : [])]) {
      this.#close(fold, this.lines - 1);
    }
  }

  #endLine(bytes: Buffer, start: number, feed: number, base: number) {
    const line = this.#lineFeeds;
    const offset = this.#lineStart;
    const next = base + feed + 1;
    if (this.#carry.length === 0) this.#mark(bytes, start, feed, line);
    else {
      const whole =
        this.#carry.length > maxComparedBytes
          ? this.#carry
          : Buffer.concat([
              this.#carry,
              bytes.subarray(start, Math.min(feed, start + maxComparedBytes)),
            ]);
      this.#mark(whole, 0, whole.length, line);
      this.#carry = Buffer.alloc(0);
    }
    this.#lineFeeds = line + 1;
    this.#lineStart = next;
    const last = this.checkpoints.at(-1)!;
    // A long line has a place at both its ends, so that nobody ever has to read through it.
    const isLong = next - offset > bytesBetween;
    if (isLong && last.line < line) {
      this.checkpoints.push({ line, offset, look: this.#lookAtStart });
    }
    if (isLong || line + 1 - last.line >= linesBetween || next - last.offset >= bytesBetween) {
      this.checkpoints.push({ line: line + 1, offset: next, look: this.#look });
    }
    this.#lookAtStart = this.#look;
  }
  #lookAtStart = "";

  #mark(bytes: Buffer, start: number, end: number, line: number) {
    this.#countRepeats(bytes, start, end, line);
    const first = bytes[start];
    if (this.#maybeHeadline !== null || (first !== undefined && sectionBytes.has(first))) {
      const longest = Math.min(end, start + 4 * maxSectionName);
      this.#findSection(bytes.toString("utf8", start, longest), line);
    }
  }

  #countRepeats(bytes: Buffer, start: number, end: number, line: number) {
    if (this.#isRepeated(bytes, start, end)) {
      this.#equal += 1;
      if (this.#repeat) this.#close(this.#repeat, line);
      else if (this.#equal >= minRepeats) {
        this.#repeat = this.#add("repeat", line - this.#equal + 1, line);
      }
      return;
    }
    this.#equal = 1;
    this.#repeat = null;
    this.#keepPrevious(bytes, start, end);
  }

  #keepPrevious(bytes: Buffer, start = 0, end = bytes.length) {
    this.#previous = end - start > maxComparedBytes ? null : bytes;
    this.#previousStart = start;
    this.#previousEnd = end;
  }

  /** Looks from both ends: lines that differ do so most often there, in a number or a time. */
  #isRepeated(bytes: Buffer, start: number, end: number): boolean {
    const previous = this.#previous;
    const shift = this.#previousStart - start;
    if (!previous || end === start || this.#previousEnd !== end + shift) return false;
    for (let i = start, j = end - 1; i <= j; i += 1, j -= 1) {
      if (previous[i + shift] !== bytes[i] || previous[j + shift] !== bytes[j]) return false;
    }
    return true;
  }

  #findSection(text: string, line: number) {
    const mark = sectionMark(text);
    const before = this.#maybeHeadline;
    this.#maybeHeadline = null;
    if (before) {
      if (mark?.kind === "headline" && mark.sign === "+") return;
      this.#beginHeadline(before.first);
    }
    if (mark === null) return;
    if (mark.kind === "end-group") {
      const group = this.#open.pop();
      if (group) this.#close(group, line);
    } else if (mark.kind === "group") {
      if (this.#open.length >= maxDepth) return;
      const group = this.#add("group", line, null);
      if (group) this.#open.push(group);
    } else if (mark.sign === "-") {
      this.#maybeHeadline = { kind: "headline", first: line, last: null, stamp: 0 };
    } else this.#beginHeadline(line);
  }

  #beginHeadline(line: number) {
    if (this.#headline) this.#close(this.#headline, line - 1);
    this.#headline = this.#add("headline", line, null);
  }

  #add(kind: Fold["kind"], first: number, last: number | null): Fold | null {
    if (this.folds.length >= maxFolds) return null;
    this.stamp += 1;
    const fold: Fold = { kind, first, last, stamp: this.stamp };
    this.folds.push(fold);
    return fold;
  }

  #close(fold: Fold, last: number) {
    this.stamp += 1;
    fold.last = last;
    fold.stamp = this.stamp;
  }

  /** Takes the sequence whose ESC stands before `from`; returns where the text goes on. */
  #readEscape(bytes: Buffer, from: number): number {
    if (from >= bytes.length) {
      this.#escape = "\x1b";
      return from;
    }
    if (bytes[from] !== 0x5b) return from;
    let at = from + 1;
    while (at < bytes.length && at - from < maxEscapeBytes && isParameter(bytes[at]!)) at += 1;
    if (at >= bytes.length) this.#escape = `\x1b${bytes.toString("latin1", from, at)}`;
    else if (bytes[at] === 0x6d) this.#apply(bytes.toString("latin1", from + 1, at));
    return at;
  }

  #continueEscape(bytes: Buffer): number {
    let sequence = this.#escape;
    let at = 0;
    if (sequence === "\x1b") {
      if (bytes.length === 0) return 0;
      if (bytes[0] !== 0x5b) {
        this.#escape = "";
        return 0;
      }
      sequence += "[";
      at = 1;
    }
    while (at < bytes.length && sequence.length < maxEscapeBytes && isParameter(bytes[at]!)) {
      sequence += String.fromCharCode(bytes[at]!);
      at += 1;
    }
    if (at >= bytes.length && sequence.length < maxEscapeBytes) {
      this.#escape = sequence;
      return at;
    }
    this.#escape = "";
    if (bytes[at] === 0x6d) this.#apply(sequence.slice(2));
    return at;
  }

  #apply(parameters: string) {
    const key = `${this.#look}m${parameters}`;
    let next = this.#transitions.get(key);
    if (next === undefined) {
      next = encodeLook(applySgr(decodeLook(this.#look), parameters));
      if (this.#transitions.size >= 1000) this.#transitions.clear();
      this.#transitions.set(key, next);
    }
    this.#look = next;
  }
}

/** What stands between "ESC [" and "m". */
function isParameter(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x3b || byte === 0x3a;
}
