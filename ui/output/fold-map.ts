// Which lines are shown, and in which row: folded sections and repeated lines take one row.

import type { OutputFold } from "../../src/wire/boss.js";

export type FoldKey = `${OutputFold["kind"]} ${number}`;

export function foldKey({ kind, first }: OutputFold): FoldKey {
  return `${kind} ${first}`;
}

/** Folds whose state the reader has changed. */
export type Toggled = ReadonlySet<FoldKey>;

/** A section that has ended is folded, as its author meant it; a headline may be no more than a line of text. */
export function isFolded(fold: OutputFold, toggled: Toggled): boolean {
  const isAtFirst = fold.kind === "repeat" || (fold.kind === "group" && fold.last !== null);
  return isAtFirst !== toggled.has(foldKey(fold));
}

/** Lines count from 1, rows from 0. */
export class FoldMap {
  readonly lines: number;
  /** Ranges of hidden lines, in order, none touching another, and how many are hidden before each. */
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  readonly #before: number[] = [];
  #hidden = 0;

  constructor(lines: number, folds: Iterable<OutputFold>, toggled: Toggled) {
    this.lines = lines;
    const ranges: [number, number][] = [];
    for (const fold of folds) {
      const last = Math.min(fold.last ?? lines, lines);
      if (last > fold.first && isFolded(fold, toggled)) ranges.push([fold.first + 1, last]);
    }
    ranges.sort((a, b) => a[0] - b[0]);
    for (const [first, last] of ranges) {
      const end = this.#last.length - 1;
      if (end >= 0 && first <= this.#last[end]! + 1) {
        this.#last[end] = Math.max(this.#last[end]!, last);
      } else {
        this.#first.push(first);
        this.#last.push(last);
      }
    }
    for (let i = 0; i < this.#first.length; i += 1) {
      this.#before.push(this.#hidden);
      this.#hidden += this.#last[i]! - this.#first[i]! + 1;
    }
  }

  get rows(): number {
    return this.lines - this.#hidden;
  }

  lineOf(row: number): number {
    const range = lastIndex(this.#first, (first, i) => first - this.#before[i]! - 1 <= row);
    const hidden =
      range < 0 ? 0 : this.#before[range]! + this.#last[range]! - this.#first[range]! + 1;
    return row + hidden + 1;
  }

  /** Of a hidden line: the row that stands for it. */
  rowOf(line: number): number {
    const range = lastIndex(this.#first, (first) => first <= line);
    if (range < 0) return line - 1;
    const hiddenTo = Math.min(line, this.#last[range]!);
    const hidden = this.#before[range]! + hiddenTo - this.#first[range]! + 1;
    return line - 1 - hidden;
  }

  isHidden(line: number): boolean {
    const range = lastIndex(this.#first, (first) => first <= line);
    return range >= 0 && line <= this.#last[range]!;
  }
}

/** Of a list for whose beginning `holds` is true, and not for the rest. */
function lastIndex(
  list: readonly number[],
  holds: (value: number, index: number) => boolean,
): number {
  let low = -1;
  let high = list.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(list[middle]!, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
