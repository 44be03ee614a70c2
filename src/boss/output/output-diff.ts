// The difference of two outputs: read in the thread of a search, kept as one number a line.

import { closeSync, openSync, readSync } from "node:fs";
import { plainText } from "../../model/terminal-line.js";
import { diffLines, type Hunk } from "./line-diff.js";

export interface DiffOrder {
  readonly left: { readonly path: string; readonly bytes: number };
  readonly right: { readonly path: string; readonly bytes: number };
  /** Times, durations and addresses count as equal. */
  readonly ignoreTimes: boolean;
}

/** Lines from 0. */
export interface DiffResult {
  readonly hunks: readonly Hunk[];
  /** Not all was compared, or not all hunks are told. */
  readonly cut: boolean;
}

const maxLines = 1_000_000;
const maxHunks = 5000;
const maxLineChars = 10_000;
const blockBytes = 1024 * 1024;

export function diffOutputs({ left, right, ignoreTimes }: DiffOrder): DiffResult {
  const [a, b] = [left, right].map((side) => hashLines(side, ignoreTimes)) as [Hashes, Hashes];
  const hunks = diffLines(a.lines, b.lines);
  return { hunks: hunks.slice(0, maxHunks), cut: a.cut || b.cut || hunks.length > maxHunks };
}

interface Hashes {
  readonly lines: Float64Array;
  readonly cut: boolean;
}

function hashLines({ path, bytes }: DiffOrder["left"], ignoreTimes: boolean): Hashes {
  let lines = new Float64Array(4096);
  let count = 0;
  const add = (line: string) => {
    if (count === lines.length) {
      const larger = new Float64Array(2 * count);
      larger.set(lines);
      lines = larger;
    }
    const text = plainText(line.length > maxLineChars ? line.slice(0, maxLineChars) : line);
    lines[count] = hash(ignoreTimes ? withoutTimes(text) : text);
    count += 1;
  };
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(blockBytes);
    const decoder = new TextDecoder();
    let rest = "";
    for (let offset = 0; offset < bytes && count < maxLines; ) {
      const read = readSync(file, buffer, 0, Math.min(buffer.length, bytes - offset), offset);
      if (read === 0) break;
      offset += read;
      const parts = (rest + decoder.decode(buffer.subarray(0, read), { stream: true })).split("\n");
      rest = (parts.pop() ?? "").slice(0, maxLineChars);
      for (const part of parts) add(part);
    }
    if (rest !== "") add(rest);
  } finally {
    closeSync(file);
  }
  return { lines: lines.subarray(0, Math.min(count, maxLines)), cut: count >= maxLines };
}

/** What differs from run to run, and says nothing. */
export function withoutTimes(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?/g, "<time>")
    .replace(/\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b/g, "<time>")
    .replace(
      /\b\d+(?:\.\d+)?\s?(?:ns|µs|us|ms|s|sec|secs|seconds?|min|minutes?|m\d+s)\b/g,
      "<duration>",
    )
    .replace(/\b0x[\da-f]{4,16}\b/gi, "<address>");
}

/** 53 bits: of a million lines no two different ones will ever meet. */
function hash(text: string): number {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return 4294967296 * (2097151 & low) + (high >>> 0);
}
