// Whose bytes are where in an attempt's output, and when they came: a small file beside it. A mark stands
// there before the first byte it speaks of. So whatever moment the boss is killed at, each byte of the output
// belongs to the last mark at or before it, and nothing has to be cut off or guessed.

import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";

import type { Cut } from "../../lib/byte-log.js";

export interface Mark {
  /** Of the first byte it speaks of; it speaks of all up to the next mark. */
  readonly offset: number;
  readonly atMs: number;
  /** 0: what the task's own code printed; n: what its call n printed. */
  readonly source: number;
}

/**
 * From here on no source but a cut: from `offset` on, as many bytes as `atMs` says are missing, and a note of
 * so many bytes stands there instead.
 */
const cutSource = 0xffff_0000;
const markBytes = 16;
/** Lines are shown with the time at which they came; nobody reads closer than this. */
const resolutionMs = 250;

export class OutputMarks {
  readonly #path: string;
  #fd: number | null = null;
  #source = -1;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(path: string) {
    this.#path = path;
  }

  /** To be called before bytes are appended. Throws where the disk is full. */
  note(offset: number, source: number): void {
    const now = Date.now();
    // A clock that was set back must not silence it until it has caught up.
    if (source === this.#source && Math.abs(now - this.#atMs) < resolutionMs) return;
    this.#source = -1;
    this.#write({ offset, atMs: now, source });
    this.#source = source;
    this.#atMs = now;
  }

  cut({ from, missingBytes, noteBytes }: Cut): void {
    this.#write({ offset: from, atMs: missingBytes, source: cutSource + noteBytes });
  }

  /** Goes on behind an earlier process, which may have marked bytes that never came to be. */
  reopen(marks: readonly Mark[]): void {
    const fd = this.#open();
    ftruncateSync(fd, marks.length * markBytes);
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #open(): number {
    this.#fd ??= openSync(this.#path, "a", 0o666);
    return this.#fd;
  }

  #write({ offset, atMs, source }: Mark): void {
    const bytes = Buffer.allocUnsafe(markBytes);
    bytes.writeUIntLE(offset, 0, 6);
    bytes.writeUIntLE(atMs, 6, 6);
    bytes.writeUInt32LE(source, 12);
    writeSync(this.#open(), bytes);
  }
}

export interface FoundMarks {
  /** As the bytes came. */
  readonly marks: readonly Mark[];
  readonly cut: Cut | null;
}

export function readMarks(path: string): FoundMarks {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    // Nothing was printed, or an older version kept no marks.
    bytes = Buffer.alloc(0);
  }
  const marks: Mark[] = [];
  let cut: FoundMarks["cut"] = null;
  for (let at = 0; at + markBytes <= bytes.length; at += markBytes) {
    const offset = bytes.readUIntLE(at, 6);
    const atMs = bytes.readUIntLE(at + 6, 6);
    const source = bytes.readUInt32LE(at + 12);
    if (source >= cutSource) {
      cut = { from: offset, missingBytes: atMs, noteBytes: source - cutSource };
      continue;
    }
    // The disk has refused the bytes that it spoke of.
    while (marks.length > 0 && marks.at(-1)!.offset > offset) marks.pop();
    marks.push({ offset, atMs, source });
  }
  return { marks, cut };
}

/** By their place in the file of so many bytes. */
export function marksInFile({ marks, cut }: FoundMarks, lengthBytes: number): Mark[] {
  const placed: Mark[] = [];
  for (const mark of marks) {
    if (!cut || mark.offset < cut.from) placed.push(mark);
    else {
      // Of marks in the part that is missing, the last one says whose the first byte behind it is.
      const behind = cut.from + cut.noteBytes;
      const offset = Math.max(behind, mark.offset - cut.missingBytes + cut.noteBytes);
      while (placed.length > 0 && placed.at(-1)!.offset >= offset) placed.pop();
      placed.push({ ...mark, offset });
    }
  }
  return placed.filter(({ offset }) => offset < lengthBytes);
}
