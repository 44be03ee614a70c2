// The end of a stream that may be endless, on disk: two files at a time, the older one deleted when a third
// is due. Their names say where in the stream they are, so that another process can go on with them.

import { closeSync, fstatSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { basename, dirname } from "node:path";

interface Segment {
  readonly path: string;
  readonly fd: number;
  /** Where it begins in the stream. */
  readonly start: number;
  length: number;
}

export class TailFile {
  readonly #path: string;
  readonly #segmentBytes: number;
  #segments: Segment[];

  /** Keeps at least half of `limitBytes` (where so much came), and never more than it. */
  constructor(path: string, limitBytes: number) {
    this.#path = path;
    this.#segmentBytes = Math.max(1, Math.floor(limitBytes / 2));
    const found = segmentsAt(path);
    // Of a process that was killed just before it deleted the older ones, three may be left.
    for (const { path: old } of found.slice(0, -2)) rmSync(old, { force: true });
    const kept = found.slice(-2);
    this.#segments = kept.length > 0 ? kept.map(({ start }) => this.#open(start)) : [this.#open(0)];
  }

  /** Bytes that came and are not kept. */
  get dropped(): number {
    return this.#segments[0]!.start;
  }

  /** All bytes that came. */
  get length(): number {
    const { start, length } = this.#segments.at(-1)!;
    return start + length;
  }

  /** Throws where the disk is full. */
  push(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#segments.at(-1)!.length >= this.#segmentBytes) this.#turn();
      const segment = this.#segments.at(-1)!;
      const part = rest.subarray(0, this.#segmentBytes - segment.length);
      const written = writeSync(segment.fd, part, 0, part.length, segment.length);
      segment.length += written;
      rest = rest.subarray(written);
    }
  }

  /** What is kept of that part of the stream, in order. */
  *read(from = 0, to = this.length): Generator<Uint8Array> {
    for (const { fd, start, length } of this.#segments) {
      const end = Math.min(length, to - start);
      for (let position = Math.max(0, from - start); position < end; ) {
        const buffer = Buffer.allocUnsafe(Math.min(256 * 1024, end - position));
        const count = readSync(fd, buffer, 0, buffer.length, position);
        if (count === 0) break;
        position += count;
        yield buffer.subarray(0, count);
      }
    }
  }

  remove(): void {
    for (const { fd, path } of this.#segments) {
      closeSync(fd);
      rmSync(path, { force: true });
    }
  }

  #turn(): void {
    // The new one first: at no moment is there less than half of the limit.
    this.#segments.push(this.#open(this.length));
    while (this.#segments.length > 2) {
      const { fd, path } = this.#segments.shift()!;
      closeSync(fd);
      rmSync(path, { force: true });
    }
  }

  #open(start: number): Segment {
    const path = `${this.#path}.${start}`;
    const fd = openSync(path, "a+");
    return { path, fd, start, length: fstatSync(fd).size };
  }
}

function segmentsAt(path: string): { readonly path: string; readonly start: number }[] {
  return numbersAfter(`${path}.`)
    .map((start) => ({ path: `${path}.${start}`, start }))
    .sort((a, b) => a.start - b.start);
}

/** Of the files whose names go on with a number after that path, the numbers. */
export function numbersAfter(path: string): number[] {
  const prefix = basename(path);
  return readdirSync(dirname(path)).flatMap((name) => {
    const number = name.startsWith(prefix) ? /^\d+/.exec(name.slice(prefix.length)) : null;
    return number ? [Number(number[0])] : [];
  });
}
