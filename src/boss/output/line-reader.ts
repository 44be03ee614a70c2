// Reads lines by their number, with the help of an index. Of a long line only both its ends are read: what
// a page shows at once must not depend on what a task prints.

import { type FileHandle, open } from "node:fs/promises";
import { applySgr, decodeLook, encodeLook } from "../../model/sgr.js";
import type { OutputLine, OutputLines } from "../../wire/boss.js";
import type { Checkpoint, LineIndex } from "./line-index.js";

export const maxLinesAtOnce = 2000;
/** More of a line than both together is left out. */
export const headBytes = 8 * 1024;
export const tailBytes = 2 * 1024;
/** Between two places of the index lie at most twice its 64 KiB, unless it is one long line. */
const regionBytes = 192 * 1024;

interface Gathered {
  readonly lines: OutputLine[];
  readonly offsets: number[];
  readonly looks: Record<number, string>;
}

/** Lines from `first` on, both from 0. */
export async function readLines(
  path: string,
  index: LineIndex,
  { first, count }: { readonly first: number; readonly count: number },
): Promise<OutputLines> {
  const end = Math.min(first + count, index.lines);
  const extent = { lines: index.lines, bytes: index.bytes, ended: index.ended };
  const gathered: Gathered = { lines: [], offsets: [], looks: {} };
  if (first >= end) return { extent, from: first + 1, ...gathered };
  const file = await open(path, "r");
  try {
    let place: Checkpoint | null = index.before(first);
    let look = place.look;
    while (place !== null && place.line < end) {
      const next: Checkpoint | null = index.after(place.line);
      const region: Region = { place, look, end: next?.offset ?? extent.bytes };
      look = await readRegion(file, region, { first, end }, gathered);
      // A line that was cut may have changed the look unseen; the index knows.
      if (next) look = next.look;
      place = next;
    }
  } finally {
    await file.close();
  }
  return { extent, from: first + 1, ...gathered };
}

interface Region {
  readonly place: Checkpoint;
  readonly look: string;
  readonly end: number;
}

async function readRegion(
  file: FileHandle,
  { place, look, end }: Region,
  wanted: { readonly first: number; readonly end: number },
  { lines, offsets, looks }: Gathered,
): Promise<string> {
  const size = end - place.offset;
  const bytes = await readExactly(file, place.offset, Math.min(size, regionBytes));
  let current = look;
  let isUnsure = lines.length === 0;
  let line = place.line;
  for (let at = 0; at < bytes.length && line < wanted.end; line += 1) {
    const feed = bytes.indexOf(10, at);
    const stop = feed === -1 ? bytes.length : feed;
    const isBeyond = feed === -1 && size > bytes.length;
    if (line >= wanted.first) {
      if (isUnsure) looks[line + 1] = current;
      isUnsure = false;
      offsets.push(place.offset + at);
      // Only the last piece can go on behind what was read; it does so to the end of the region.
      const content = isBeyond
        ? await cutLong(file, bytes.subarray(at), { start: place.offset + at, end })
        : cut(bytes.subarray(at, stop));
      isUnsure = typeof content !== "string";
      lines.push(content);
    }
    current = lookAfter(current, bytes, at, stop);
    at = stop + 1;
  }
  if (isUnsure && line < wanted.end) looks[line + 1] = current;
  return current;
}

async function readExactly(file: FileHandle, offset: number, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(buffer, filled, size - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

function lookAfter(look: string, bytes: Buffer, start: number, end: number): string {
  const esc = bytes.indexOf(0x1b, start);
  if (esc === -1 || esc >= end) return look;
  let result = decodeLook(look);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what it looks for
  for (const [, parameters] of bytes.toString("latin1", esc, end).matchAll(/\x1b\[([\d;:]*)m/g)) {
    result = applySgr(result, parameters!);
  }
  return encodeLook(result);
}

function cut(bytes: Buffer): OutputLine {
  if (bytes.length <= headBytes + tailBytes) return bytes.toString("utf8");
  return cutParts(bytes, bytes.subarray(bytes.length - tailBytes), bytes.length);
}

async function cutLong(
  file: FileHandle,
  head: Buffer,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<OutputLine> {
  let tail = await readExactly(file, end - tailBytes, tailBytes);
  if (tail.at(-1) === 10) tail = tail.subarray(0, -1);
  return cutParts(head, tail, end - start - (tailBytes - tail.length));
}

/** Cut between characters, not within one. */
function cutParts(head: Buffer, tail: Buffer, bytes: number): OutputLine {
  let headEnd = headBytes;
  while (headEnd > 0 && isContinuation(head[headEnd])) headEnd -= 1;
  let tailStart = 0;
  while (tailStart < tail.length && isContinuation(tail[tailStart]) && tailStart < 3)
    tailStart += 1;
  return {
    head: head.toString("utf8", 0, headEnd),
    tail: tail.toString("utf8", tailStart),
    bytes,
    hiddenFrom: headEnd,
    hiddenTo: bytes - (tail.length - tailStart),
  };
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
