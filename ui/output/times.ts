// When what was printed: from marks, each an offset and the time at which the bytes from there on came.

import type { OutputMarksView } from "../../src/wire/boss.js";

export class Times {
  readonly #marks: OutputMarksView["marks"];

  constructor(marks: OutputMarksView["marks"]) {
    this.#marks = marks;
  }

  get lastOffset(): number {
    return this.#marks.at(-1)?.[0] ?? 0;
  }

  /** These instead of those that it has from there on. */
  withMarks(marks: OutputMarksView["marks"], from: number): Times {
    return new Times([...this.#marks.filter(([offset]) => offset < from), ...marks]);
  }

  /** Since the first byte, as "+3.25 s"; null where nothing is known. */
  since(offset: number): string | null {
    const at = this.at(offset);
    const first = this.#marks[0]?.[1];
    return at === null || first === undefined ? null : formatSince(at - first);
  }

  at(offset: number): number | null {
    let low = -1;
    let high = this.#marks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#marks[middle]![0] <= offset) low = middle;
      else high = middle - 1;
    }
    return low < 0 ? null : this.#marks[low]![1];
  }

  /** Where the output of the last command ends; null where no command printed anything. */
  endOfCalls(bytes: number): number | null {
    const last = this.#marks.findLastIndex(([, , source]) => source > 0);
    if (last < 0) return null;
    return this.#marks[last + 1]?.[0] ?? bytes;
  }
}

function formatSince(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 60) return `+${seconds.toFixed(2)}s`;
  const minutes = Math.floor(seconds / 60);
  const rest = (seconds % 60).toFixed(1).padStart(4, "0");
  if (minutes < 60) return `+${minutes}m${rest}s`;
  return `+${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}
