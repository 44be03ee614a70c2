// An append-only file of bytes that many readers follow while it grows. The worker spools a command's
// output in one, the boss keeps a task's output in one.
//
// Readers pull from the file at their own pace, so a slow one costs a file descriptor and one buffer,
// and never holds up the writer or another reader.

import { once } from "node:events";
import { createWriteStream, statSync, truncateSync, type WriteStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { asError } from "./as-error.js";
import { Bell } from "./bell.js";
import { numbersAfter, TailFile } from "./tail-file.js";
import { formatBytes } from "./units.js";

const readSize = 256 * 1024;

export interface ByteLogOptions {
  /** More than this is cut in the middle: see ByteLog. */
  readonly limitBytes?: number;
  /** Go on with the file that an earlier process left in the middle, where there is one. */
  readonly reopen?: boolean;
  /** Told before what was kept aside is deleted. */
  readonly cut?: (cut: Cut) => void;
}

/** What is missing in the middle. */
export interface Cut {
  readonly from: number;
  readonly missingBytes: number;
  /** Of the line that says so, in their place. */
  readonly noteBytes: number;
}

/**
 * With a limit, the first half of it is kept as it comes. Of what follows, the end is kept aside and put
 * behind the first half when the log ends, with a line between them that says how many bytes are missing.
 */
export class ByteLog {
  readonly path: string;
  readonly #limitBytes: number;
  readonly #cut: ByteLogOptions["cut"];
  #tail: TailFile | undefined;
  /** Where the tail begins. */
  #head = 0;
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

  constructor(
    path: string,
    { limitBytes = Number.POSITIVE_INFINITY, reopen = false, cut }: ByteLogOptions = {},
  ) {
    this.path = path;
    this.#limitBytes = limitBytes;
    this.#cut = cut;
    if (reopen) this.#reopen();
    const flags = reopen ? "a" : "wx";
    this.#stream = createWriteStream(path, { flags, highWaterMark: 1024 * 1024 });
    this.#opened = once(this.#stream, "open");
    this.#opened.catch(() => {});
    this.#stream.on("error", (error) => this.#fail(error));
  }

  /** Bytes that are in the file, or on their way there. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that came, also those that are kept aside or dropped. */
  get received(): number {
    return this.#tail && !this.#closed ? this.#head + this.#tail.length : this.#length;
  }

  /** An earlier process may have been killed at any moment: what is in the files is what counts. */
  #reopen(): void {
    let size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    const [head] = numbersAfter(`${this.path}.tail-`);
    if (head !== undefined) {
      const tail = new TailFile(tailPath(this.path, head), this.#limitBytes / 2);
      if (size >= head) {
        // It was about to put the end behind the first half.
        if (size > head) truncateSync(this.path, head);
        size = head;
        this.#head = head;
        this.#tail = tail;
      } else tail.remove();
    }
    this.#length = size;
    this.#written = size;
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
    this.#head = this.#length;
    try {
      this.#tail = new TailFile(tailPath(this.path, this.#head), this.#limitBytes / 2);
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
      const note = `\n[${tail.dropped} bytes are missing here: output is limited to ${limit}]\n`;
      await this.#write(Buffer.from(note));
      this.#cut?.({ from: this.#head, missingBytes: tail.dropped, noteBytes: note.length });
    }
    for (const chunk of tail.read()) await this.#write(chunk);
  }

  /** Resolves when all that came is in files, or cannot get there: then `error` is set. */
  async flush(): Promise<void> {
    const length = this.#length;
    while (this.#written < length && !this.#error && !this.#closed) await this.#changes.heard();
  }

  /** Of what came, that part; null where some of it was dropped. All of it must be flushed. */
  async read(from: number, to: number): Promise<Uint8Array | null> {
    const tail = this.#closed ? undefined : this.#tail;
    if (tail && to > this.#head && Math.max(from, this.#head) < this.#head + tail.dropped)
      return null;
    const end = tail ? Math.min(to, this.#head) : to;
    const chunks: Uint8Array[] = [];
    if (from < end) {
      const file = await open(this.path, "r");
      try {
        const buffer = Buffer.alloc(end - from);
        const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
        chunks.push(buffer.subarray(0, bytesRead));
      } finally {
        await file.close();
      }
    }
    if (tail) {
      chunks.push(...tail.read(Math.max(0, from - this.#head), Math.max(0, to - this.#head)));
    }
    return Buffer.concat(chunks);
  }

  /** Makes the log one that cannot be written any more, as a full disk does. */
  fail(error: unknown): void {
    this.#fail(error);
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
    }
    await new Promise<void>((done) => {
      if (this.#stream.closed) return done();
      this.#stream.on("close", done);
      this.#stream.end();
    });
    // Only now that all of it is in the file: until then it is the one place where the end is.
    this.#tail?.remove();
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

function tailPath(path: string, head: number): string {
  return `${path}.tail-${head}`;
}
