// A block of lines at the bottom of the terminal that redraws itself; what is printed above it stays.

import { textWidth } from "./text.js";

const hideCursor = "\x1b[?25l";
const showCursor = "\x1b[?25h";
// Terminals that know it show a frame as a whole; others ignore it.
const beginFrame = "\x1b[?2026h";
const endFrame = "\x1b[?2026l";

export class Screen {
  #out: NodeJS.WriteStream;
  /** The widths of the lines now on the terminal. */
  #drawn: number[] = [];
  #hidden = false;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  get columns(): number {
    return Math.max(1, this.#out.columns || 80);
  }

  get rows(): number {
    return Math.max(1, this.#out.rows || 24);
  }

  /** Replaces the block; the text of `above`, if any, is printed for good before it. */
  draw(lines: readonly string[], above = ""): void {
    const hide = this.#hidden ? "" : hideCursor;
    this.#hidden = true;
    const block = lines.map((line) => `${line}\x1b[K\n`).join("");
    this.#out.write(`${beginFrame}${hide}${this.#toTop()}${above}${block}\x1b[J${endFrame}`);
    this.#drawn = lines.map(textWidth);
  }

  /** Takes the block away and gives the cursor back. */
  clear(): void {
    this.#out.write(`${this.#toTop()}\x1b[J${this.#hidden ? showCursor : ""}`);
    this.#drawn = [];
    this.#hidden = false;
  }

  /** Leaves the block where it is. */
  release(): void {
    if (this.#hidden) this.#out.write(showCursor);
    this.#hidden = false;
  }

  #toTop(): string {
    // A terminal that became narrower has broken the lines that were drawn for the old width.
    const columns = this.columns;
    const rows = this.#drawn.reduce(
      (sum, width) => sum + Math.max(1, Math.ceil(width / columns)),
      0,
    );
    return rows === 0 ? "\r" : `\r\x1b[${rows}A\x1b[J`;
  }
}
