// One line of output as a terminal would leave it: colors kept, carriage returns, backspaces and erasures
// carried out, every other escape sequence dropped. Lines are independent but for the look they start with,
// so any line of a long output can be shown without those before it.

import { applySgr, type Look, plainLook } from "./sgr.js";

export interface Span {
  readonly text: string;
  readonly look: Look;
}

export interface TerminalLine {
  readonly spans: readonly Span[];
  /** What the next line starts with. */
  readonly look: Look;
}

// CSI; OSC up to BEL or ST; DCS, SOS, PM and APC up to ST; and the short ones. One whose end does not come
// within its line is no sequence: only its ESC is dropped, so that none can swallow what follows.
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])/y;
/** Everything that is not plain text; a tab is. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const special = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const moving = /[\r\b]|\x1b\[[0-?]*[CDGKPX@`]/;

/** No cursor goes further right than this: a line may ask for column 2,000,000,000. */
const maxColumn = 4096;

export function parseLine(raw: string, start: Look = plainLook): TerminalLine {
  const line = trimEnd(raw);
  if (!special.test(line)) {
    return { spans: line === "" ? [] : [{ text: line, look: start }], look: start };
  }
  const screen = moving.test(line) ? new CellLine() : new SpanLine();
  let look = start;
  let at = 0;
  while (at < line.length) {
    const plain = nextSpecial(line, at);
    if (plain > at) screen.write(line.slice(at, plain), look);
    if (plain >= line.length) break;
    const char = line[plain]!;
    at = plain + 1;
    if (char === "\r") screen.move(0, true);
    else if (char === "\b") screen.moveBy(-1);
    else if (char === "\x1b") {
      escapes.lastIndex = plain;
      const match = escapes.exec(line);
      if (!match) continue;
      at = escapes.lastIndex;
      const [, parameters = "", final] = match;
      if (final === "m") {
        // "ESC [ > 4 m" and the like set up keyboards.
        if (/^[\d;:]*$/.test(parameters)) look = applySgr(look, parameters);
      } else if (final !== undefined) screen.control(final, parameters, look);
    }
  }
  return { spans: screen.spans(), look };
}

/** As people read it: for search, and for copying. */
export function plainText(raw: string): string {
  const line = trimEnd(raw);
  if (!special.test(line)) return line;
  return parseLine(line)
    .spans.map(({ text }) => text)
    .join("");
}

/** Carriage returns at the end change nothing: that of "\r\n", and that of a progress bar before its next state. */
function trimEnd(raw: string): string {
  let end = raw.length;
  if (end > 0 && raw[end - 1] === "\n") end -= 1;
  while (end > 0 && raw[end - 1] === "\r") end -= 1;
  return end === raw.length ? raw : raw.slice(0, end);
}

function nextSpecial(line: string, from: number): number {
  for (let i = from; i < line.length; i += 1) {
    const code = line.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || (code >= 0x7f && code <= 0x9f)) return i;
  }
  return line.length;
}

/** A line on which the cursor only goes right. */
class SpanLine {
  readonly #spans: Span[] = [];

  write(text: string, look: Look) {
    const last = this.#spans.at(-1);
    if (last && last.look === look)
      this.#spans[this.#spans.length - 1] = { text: last.text + text, look };
    else this.#spans.push({ text, look });
  }

  move(_column: number, _isReturn: boolean) {}
  moveBy(_columns: number) {}
  control(_final: string, _parameters: string, _look: Look) {}

  spans(): readonly Span[] {
    return this.#spans;
  }
}

/** A line that is written over: one cell a character. */
class CellLine {
  #chars: string[] = [];
  #looks: Look[] = [];
  #column = 0;
  /** The cursor was sent back by a carriage return: the next state of the line replaces the last one. */
  #returned = false;

  write(text: string, look: Look) {
    if (this.#returned && this.#column === 0) this.#erase(0, this.#chars.length);
    this.#returned = false;
    for (const char of text) {
      while (this.#chars.length < this.#column) this.#put(this.#chars.length, " ", plainLook);
      this.#put(this.#column, char, look);
      this.#column += 1;
    }
  }

  #put(column: number, char: string, look: Look) {
    this.#chars[column] = char;
    this.#looks[column] = look;
  }

  move(column: number, isReturn: boolean) {
    this.#column = Math.min(Math.max(0, column), Math.max(maxColumn, this.#chars.length));
    this.#returned = isReturn;
  }

  moveBy(columns: number) {
    this.move(this.#column + columns, false);
  }

  control(final: string, parameters: string, look: Look) {
    const count = Number.parseInt(parameters, 10);
    const some = Math.max(1, Number.isNaN(count) ? 1 : count);
    if (final === "C") this.moveBy(some);
    else if (final === "D") this.moveBy(-some);
    else if (final === "G" || final === "`") this.move(some - 1, false);
    else if (final === "K") {
      if (count === 1) this.#blank(0, this.#column + 1, look);
      else this.#erase(count === 2 ? 0 : this.#column, this.#chars.length);
      // What is erased on purpose is gone; what comes next stands where the cursor is.
      if (count !== 1) this.#returned = false;
    } else if (final === "P") this.#cut(this.#column, some);
    else if (final === "X") this.#blank(this.#column, this.#column + some, look);
    else if (final === "@") this.#insert(Math.min(some, maxColumn));
  }

  #erase(from: number, to: number) {
    if (to >= this.#chars.length) {
      this.#chars.length = Math.min(this.#chars.length, from);
      this.#looks.length = this.#chars.length;
    }
    if (from === 0) this.#returned = false;
  }

  #blank(from: number, to: number, look: Look) {
    for (let i = from; i < Math.min(to, this.#chars.length); i += 1) this.#put(i, " ", look);
  }

  #cut(at: number, count: number) {
    this.#chars.splice(at, count);
    this.#looks.splice(at, count);
  }

  #insert(count: number) {
    if (this.#column >= this.#chars.length || this.#chars.length > 4 * maxColumn) return;
    const blanks = Array.from({ length: count }, () => " ");
    this.#chars.splice(this.#column, 0, ...blanks);
    this.#looks.splice(this.#column, 0, ...blanks.map(() => plainLook));
  }

  spans(): readonly Span[] {
    const spans: Span[] = [];
    let text = "";
    for (let i = 0; i < this.#chars.length; i += 1) {
      text += this.#chars[i];
      if (this.#looks[i + 1] === this.#looks[i]) continue;
      spans.push({ text, look: this.#looks[i]! });
      text = "";
    }
    return spans;
  }
}
