// The line indexes of the outputs that somebody looks at. One is made when it is first asked for, by one
// reading of the file, and follows an output that still grows until that ends.

import { open } from "node:fs/promises";
import { asError } from "../../lib/as-error.js";
import { Bell } from "../../lib/bell.js";
import { LineIndex } from "./line-index.js";
import type { OutputRef, Outputs } from "./outputs.js";

/** An index of 100 MB takes about half a megabyte. */
const maxKept = 50;
const chunkBytes = 1024 * 1024;

export class LineIndexes {
  readonly #outputs: Outputs;
  readonly #kept = new Map<string, FollowedIndex>();

  constructor(outputs: Outputs) {
    this.#outputs = outputs;
  }

  /** `length`: of the output now. */
  open(ref: OutputRef, length: number): FollowedIndex {
    const path = this.#outputs.path(ref);
    let found = this.#kept.get(path);
    this.#kept.delete(path);
    // One that ended with an earlier boss may go on with this one.
    const isOutdated = found?.index.ended && found.index.bytes !== length;
    if (!found || found.error || isOutdated) {
      const chunks = this.#outputs.isLive(ref) ? this.#outputs.follow(ref) : chunksOf(path);
      found = new FollowedIndex(chunks, path);
    }
    // The one asked for last stands last.
    this.#kept.set(path, found);
    for (const [oldest, { index }] of this.#kept) {
      if (this.#kept.size <= maxKept) break;
      if (index.ended) this.#kept.delete(oldest);
    }
    return found;
  }
}

export class FollowedIndex {
  readonly path: string;
  readonly index = new LineIndex();
  /** Why it can grow no further, though the output may. */
  error: Error | null = null;
  readonly #changes = new Bell();

  /** A chunk is done with when the next is asked for. */
  constructor(chunks: AsyncIterable<Uint8Array>, path: string) {
    this.path = path;
    void this.#follow(chunks);
  }

  /** Resolves when it has grown or ended, or the signal is aborted. */
  changed(signal?: AbortSignal): Promise<void> {
    if (this.isOver) return Promise.resolve();
    return this.#changes.heard(signal);
  }

  get isOver(): boolean {
    return this.index.ended || this.error !== null;
  }

  /** Resolves once it holds this line with its end, or so many bytes, or all there will be. */
  async reach({ line, bytes, signal }: { line: number; bytes: number; signal: AbortSignal }) {
    const isThere = () => this.index.lines > line + 1 || this.index.bytes >= bytes;
    while (!isThere() && !this.isOver && !signal.aborted) await this.changed(signal);
    if (this.error) throw this.error;
  }

  async #follow(chunks: AsyncIterable<Uint8Array>) {
    try {
      for await (const chunk of chunks) {
        this.index.append(chunk);
        this.#changes.ring();
      }
      this.index.end();
    } catch (error) {
      this.error = asError(error);
    }
    this.#changes.ring();
  }
}

/** All into the same memory: new memory for every chunk costs several times what the reading does. */
async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
