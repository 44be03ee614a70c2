// An append-only file of bytes that many readers follow while it grows. The worker spools a command's
// output in one, the boss keeps a task's output in one.
//
// Readers pull from the file at their own pace, so a slow one costs a file descriptor and one buffer,
// and never holds up the writer or another reader.

import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { asError } from "./as-error.js";
import { Bell } from "./bell.js";
import { TailFile } from "./tail-file.js";
import { formatBytes } from "./units.js";

const readSize = 256 * 1024;

export interface ByteLogOptions {
  /** More than this is cut in the middle: see ByteLog. */
  readonly limitBytes?: number;
}

/**
 * With a limit, the first half of it is kept as it comes. Of what follows, the end is kept aside and put
 * behind the first half when the log ends, with a line between them that says how many bytes are missing.
 */
export class ByteLog {
  readonly path: string;
  readonly #limitBytes: number;
  #tail: TailFile | undefined;
  #stream: WriteStream;
  #opened: Promise<unknown>;
  /** Bytes accepted by append. */
  #length = 0;
  /** Bytes in the file. */
  #written = 0;
  #ending: Promise<void> | undefined;
  #closed = false;
  #error: Error | null = null;
  #drained: Promise<void> | undefined;
  readonly #changes = new Bell();

  constructor(path: string, { limitBytes = Number.POSITIVE_INFINITY }: ByteLogOptions = {}) {
    this.path = path;
    this.#limitBytes = limitBytes;
    this.#stream = createWriteStream(path, { flags: "wx", highWaterMark: 1024 * 1024 });
    this.#opened = once(this.#stream, "open");
    this.#opened.catch(() => {});
    this.#stream.on("error", (error) => this.#fail(error));
  }

  get length(): number {
    return this.#length;
  }

  /** Resolves when there is room for more; the chunk must not be changed afterwards. */
  append(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#ending) throw new Error(`${this.path} has ended`);
    if (chunk.length === 0) return undefined;
    if (this.#tail) return this.#pushTail(chunk);
    // Output that just fits stays whole; only then is it cut at half.
    if (this.#length + chunk.length > this.#limitBytes / 2) return this.#startTail(chunk);
    return this.#write(chunk);
  }

  #startTail(chunk: Uint8Array): Promise<void> | undefined {
    const room = Math.max(0, Math.floor(this.#limitBytes / 2) - this.#length);
    const drained = this.#write(chunk.subarray(0, room));
    try {
      this.#tail = new TailFile(`${this.path}.tail`, this.#limitBytes / 2);
    } catch (error) {
      this.#fail(error);
    }
    return this.#pushTail(chunk.subarray(room)) ?? drained;
  }

  #pushTail(chunk: Uint8Array): undefined {
    try {
      this.#tail?.push(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The missing middle, in words, and the end. */
  async #writeTail(tail: TailFile): Promise<void> {
    if (tail.dropped > 0) {
      const limit = formatBytes(this.#limitBytes);
      await this.#write(
        Buffer.from(`\n[${tail.dropped} bytes are missing here: output is limited to ${limit}]\n`),
      );
    }
    for (const chunk of tail.read()) await this.#write(chunk);
  }

  #fail(error: unknown): void {
    this.#error ??= asError(error);
    this.#changes.ring();
  }

  #write(chunk: Uint8Array): Promise<void> | undefined {
    if (chunk.length === 0) return undefined;
    this.#length += chunk.length;
    const room = this.#stream.write(chunk, (error) => {
      if (error) return;
      this.#written += chunk.length;
      this.#changes.ring();
    });
    if (room || this.#error) return undefined;
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      // After an error or the end no "drain" comes, and there is nothing to wait for either.
      const done = () => {
        this.#stream.off("drain", done);
        this.#stream.off("close", done);
        this.#drained = undefined;
        resolve();
      };
      this.#stream.on("drain", done);
      this.#stream.on("close", done);
    });
  }

  /** No more bytes will come; resolves when all are in the file. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    if (this.#tail) {
      if (!this.#error) await this.#writeTail(this.#tail);
      this.#tail.remove();
    }
    await new Promise<void>((done) => {
      if (this.#stream.closed) return done();
      this.#stream.on("close", done);
      this.#stream.end();
    });
    this.#closed = true;
    this.#changes.ring();
    if (this.#error) throw this.#error;
  }

  get ended(): boolean {
    return this.#closed;
  }

  /** Set once writing has failed (the disk is full); what was appended since is lost. */
  get error(): Error | null {
    return this.#error;
  }

  /** The bytes from `offset` on: what is there now, then what comes, until the end or the signal. */
  async *follow(offset = 0, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    await this.#opened;
    const file = await open(this.path, "r");
    try {
      yield* this.#followFile(file, offset, signal);
    } finally {
      await file.close();
    }
  }

  async *#followFile(file: FileHandle, offset: number, signal?: AbortSignal) {
    let position = offset;
    while (!signal?.aborted) {
      if (position >= this.#written) {
        if (this.#error) throw this.#error;
        if (this.#closed) return;
        await this.#changes.heard(signal);
        continue;
      }
      const buffer = Buffer.allocUnsafe(Math.min(readSize, this.#written - position));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      position += bytesRead;
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead);
    }
  }
}
