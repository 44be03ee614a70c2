// The end of a stream that may be endless, on disk: two files written by turns, the older one overwritten.

import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";

interface Segment {
  readonly path: string;
  readonly fd: number;
  length: number;
}

export class TailFile {
  /** Bytes that came and are not kept. */
  dropped = 0;
  readonly #segmentBytes: number;
  #older: Segment;
  #newer: Segment;

  /** Keeps at least half of `limitBytes`, and never more than it. */
  constructor(path: string, limitBytes: number) {
    this.#segmentBytes = Math.max(1, Math.floor(limitBytes / 2));
    this.#older = openSegment(`${path}.a`);
    this.#newer = openSegment(`${path}.b`);
  }

  /** Throws where the disk is full. */
  push(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#newer.length >= this.#segmentBytes) this.#turn();
      const part = rest.subarray(0, this.#segmentBytes - this.#newer.length);
      const written = writeSync(this.#newer.fd, part, 0, part.length, this.#newer.length);
      this.#newer.length += written;
      rest = rest.subarray(written);
    }
  }

  /** What is kept, oldest first. */
  *read(): Generator<Uint8Array> {
    for (const { fd, length } of [this.#older, this.#newer]) {
      for (let position = 0; position < length; ) {
        const buffer = Buffer.allocUnsafe(Math.min(256 * 1024, length - position));
        const count = readSync(fd, buffer, 0, buffer.length, position);
        if (count === 0) break;
        position += count;
        yield buffer.subarray(0, count);
      }
    }
  }

  remove(): void {
    for (const { fd, path } of [this.#older, this.#newer]) {
      closeSync(fd);
      rmSync(path, { force: true });
    }
  }

  #turn(): void {
    this.dropped += this.#older.length;
    ftruncateSync(this.#older.fd);
    this.#older.length = 0;
    [this.#older, this.#newer] = [this.#newer, this.#older];
  }
}

function openSegment(path: string): Segment {
  return { path, fd: openSync(path, "w+"), length: 0 };
}
