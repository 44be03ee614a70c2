// Replaces words in a stream of bytes by asterisks, byte for byte, however the stream is cut into chunks.
//
// The length stays: an offset means the same byte before and after, so that whoever lost a connection can go on
// at the byte where it stopped. Whether a byte is masked depends on nothing but the bytes within `reach` of it.
//
// What may be the beginning of a word is held back until it is known. Live output must not hang on that: a
// beginning that says next to nothing is let go after a moment. If it then was one, the rest is masked still.

import { isLineBreak, WordFinder } from "./word-finder.js";

const asterisk = 42;
/** So many bytes of a word say too little to be worth a delay. */
const tellsNothing = 3;
/** Lines are wrapped, but nobody wraps a word by thousands of line breaks: so much is held back at most. */
const mostLineBreaks = 4096;
const nothing = new Uint8Array(0);

export class Masker {
  readonly #finder: WordFinder;
  #state = WordFinder.start;
  #held: Uint8Array = nothing;

  constructor(finder: WordFinder) {
    this.#finder = finder;
  }

  /** No masked byte depends on another one further away. */
  static reach(finder: WordFinder): number {
    return finder.longest + mostLineBreaks;
  }

  get holds(): boolean {
    return this.#held.length > 0;
  }

  /** What is certain by now. The chunk itself is not changed, but may be handed on. */
  push(chunk: Uint8Array): Uint8Array {
    const before = this.#held.length;
    const spans = this.#scan(chunk);
    let bytes = before === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    if (spans.length > 0) {
      if (bytes === chunk) bytes = Uint8Array.prototype.slice.call(chunk);
      mask(bytes, before, spans);
    }
    let certain = this.#holdFrom(bytes);
    if (bytes.length - certain > Masker.reach(this.#finder)) {
      this.#state = WordFinder.start;
      certain = bytes.length;
    }
    // A line that ends like a word begins must not be late for that.
    if (this.#saysNothing && isLineBreak(chunk.at(-1))) certain = bytes.length;
    // A copy: a small rest must not keep a large chunk.
    this.#held =
      certain === bytes.length ? nothing : Uint8Array.prototype.slice.call(bytes, certain);
    return certain === bytes.length ? bytes : bytes.subarray(0, certain);
  }

  /** After a moment of silence: what is held, where that says nothing. */
  ease(): Uint8Array {
    return this.#saysNothing ? this.release() : nothing;
  }

  /** All that is held. If it goes on to be a word, the rest of that is masked. */
  release(): Uint8Array {
    const held = this.#held;
    this.#held = nothing;
    return held;
  }

  get #saysNothing(): boolean {
    return this.#finder.pending[this.#state]! <= tellsNothing;
  }

  /** The words that end in the chunk, as spans of bytes that are no line breaks; the chunk begins at 0. */
  #scan(chunk: Uint8Array): Span[] {
    const finder = this.#finder;
    const { rows, rowCount, found } = finder;
    const spans: Span[] = [];
    let state = this.#state;
    let counted = 0;
    let lineBreaks = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      state = state < rowCount ? rows[(state << 8) | byte]! : finder.next(state, byte);
      if (found[state] === 0 || isLineBreak(byte)) continue;
      for (; counted < at; counted++) if (isLineBreak(chunk[counted])) lineBreaks += 1;
      const end = at + 1 - lineBreaks;
      addSpan(spans, { start: end - found[state]!, end });
    }
    this.#state = state;
    return spans;
  }

  /** From where on the bytes may be the beginning of a word. */
  #holdFrom(bytes: Uint8Array): number {
    let at = bytes.length;
    for (let left = this.#finder.pending[this.#state]!; left > 0 && at > 0; at--) {
      if (!isLineBreak(bytes[at - 1])) left -= 1;
    }
    return at;
  }
}

interface Span {
  /** Below 0: in what was held. */
  readonly start: number;
  readonly end: number;
}

/** Ends never go down, so that only the last ones can overlap. */
function addSpan(spans: Span[], span: Span): void {
  let { start } = span;
  for (let last = spans.at(-1); last && last.end >= start; last = spans.at(-1)) {
    start = Math.min(start, last.start);
    spans.pop();
  }
  spans.push({ start, end: span.end });
}

/** `origin` is where in the bytes the spans' 0 is. Line breaks stay, so that lines keep their numbers. */
function mask(bytes: Uint8Array, origin: number, spans: readonly Span[]): void {
  let index = 0;
  for (let at = 0; at < origin; at++) if (!isLineBreak(bytes[at])) index -= 1;
  let next = 0;
  for (let at = 0; at < bytes.length && next < spans.length; at++) {
    if (isLineBreak(bytes[at])) continue;
    if (index >= spans[next]!.start) bytes[at] = asterisk;
    index += 1;
    if (index === spans[next]!.end) next += 1;
  }
}
