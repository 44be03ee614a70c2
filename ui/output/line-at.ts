import { ask } from "../request.js";
import type { OutputSource } from "./output-source.js";

/** The line that holds a byte. Found by halves: few requests, and no further kind of them. */
export async function lineAt(source: OutputSource, offset: number): Promise<number | null> {
  let low = 1;
  let high = source.lines;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    const url = source.url("/lines", { from: middle, count: 1 });
    const { offsets } = await ask<{ offsets: number[] }>(url).catch(() => ({ offsets: [] }));
    if (offsets[0] === undefined) return null;
    if (offsets[0] <= offset) low = middle;
    else high = middle - 1;
  }
  return high === 0 ? null : low;
}
