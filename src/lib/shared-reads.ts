// Reads of a file that grows, for readers who are behind: those at about the same place get the same bytes. They come to
// stand at the same place, too, since each goes on where a block ends.

import { type FileHandle, open } from "node:fs/promises";

const blockBytes = 256 * 1024;

/** Readers further apart than these read each for itself. */
const mostBlocks = 4;

interface Block {
  readonly start: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
}

export class SharedReads {
  readonly #path: string;
  #file: Promise<FileHandle> | null = null;
  /** The last ones. */
  #blocks: Block[] = [];
  #followers = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Nothing is open for nobody. To be called back in the end, when no read of the follower is under way. */
  follow(): () => Promise<void> {
    this.#followers += 1;
    return async () => {
      this.#followers -= 1;
      if (this.#followers > 0) return;
      const file = this.#file;
      this.#file = null;
      this.#blocks = [];
      await (await file)?.close();
    };
  }

  /** Some of the bytes from there on; `written` is where they end so far. */
  async from(position: number, written: number): Promise<Uint8Array> {
    const { start, bytes } = this.#blockAt(position) ?? this.#read(position, written);
    return (await bytes).subarray(position - start);
  }

  #blockAt(position: number): Block | undefined {
    return this.#blocks.find(({ start, end }) => start <= position && position < end);
  }

  #read(start: number, written: number): Block {
    const end = Math.min(start + blockBytes, written);
    const block = { start, end, bytes: this.#bytes(start, end - start) };
    // Not more than if each had its own.
    this.#blocks = [...this.#blocks, block].slice(-Math.min(mostBlocks, this.#followers));
    block.bytes.catch(() => {
      this.#blocks = this.#blocks.filter((other) => other !== block);
    });
    return block;
  }

  async #bytes(start: number, length: number): Promise<Uint8Array> {
    const file = await this.#opened();
    const buffer = Buffer.allocUnsafeSlow(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await file.read(buffer, done, length - done, start + done);
      if (bytesRead === 0) throw new Error(`${this.#path} is shorter than what was written to it`);
      done += bytesRead;
    }
    return buffer;
  }

  #opened(): Promise<FileHandle> {
    this.#file ??= open(this.#path, "r").catch((error: unknown) => {
      this.#file = null;
      throw error;
    });
    return this.#file;
  }
}
