// An append-only file of bytes that many readers follow while it grows. The worker spools a command's
// output in one, the boss keeps a task's output in one.
//
// Readers pull from the file at their own pace, so a slow one costs one buffer at most, and never holds up the
// writer or another reader. Those who keep up share the bytes that came last, those who are behind what they read.

import { statSync, truncateSync } from "node:fs";
import { open } from "node:fs/promises";
import { Bell } from "./bell.js";
import { FileWriter, type Missing } from "./file-writer.js";
import { SharedReads } from "./shared-reads.js";
import { numbersAfter, TailFile } from "./tail-file.js";
import { formatBytes } from "./units.js";

const lineFeed = 10;

export interface ByteLogOptions {
  /** More than this is cut in the middle: see ByteLog. */
  readonly limitBytes?: number;
  /** What is no longer than this gets no file; default: all of it has one. */
  readonly memoryBytes?: number;
  /** Go on with the file that an earlier process left in the middle, where there is one. */
  readonly reopen?: boolean;
  /** Called whenever a reader may find more. */
  readonly changed?: () => void;
  /** Told before what was kept aside is deleted. */
  readonly cut?: (cut: Cut) => void;
  /** Called when the disk has refused bytes. */
  readonly onLoss?: () => void;
  /** Called before a line in the file says that bytes are missing there. May throw where the disk is full. */
  readonly beforeGap?: () => void;
}

/** What is missing in the middle. */
export interface Cut {
  readonly from: number;
  readonly missingBytes: number;
  /** Of the line that says so, in their place. */
  readonly noteBytes: number;
}

/** A longer line may be cut within. */
const longestWholeLine = 64 * 1024;

/** What may be kept beyond the limit. */
export function overLimit(limitBytes: number): number {
  return Math.min(longestWholeLine, Math.floor(limitBytes / 16));
}

/** Of a limit, what the end may take: half of a small one. Nobody reads more of an end than that of a large one. */
function endBytes(limitBytes: number): number {
  if (limitBytes === Number.POSITIVE_INFINITY) return 0;
  return Math.floor(Math.min(limitBytes / 2, Math.max(limitBytes / 8, 8 * 1024 * 1024)));
}

/**
 * With a limit, the beginning is kept as it comes, to the end of a line. Of what follows, the end (see endBytes) is
 * kept aside and put behind the beginning when the log ends, with a line between them that says how many bytes are
 * missing. Readers of a live log wait for what is kept aside, and it is written twice: so the beginning is the most of
 * it. Lines are kept whole: a secret of which only a part is left could not be recognized.
 */
export class ByteLog {
  readonly path: string;
  readonly #limitBytes: number;
  readonly #endBytes: number;
  readonly #overLimit: number;
  readonly #cut: ByteLogOptions["cut"];
  #tail: TailFile | undefined;
  /** Where the tail begins. */
  #head = 0;
  readonly #writer: FileWriter;
  #ending: Promise<void> | undefined;
  #closed = false;
  readonly #changes = new Bell();
  readonly #reads: SharedReads;

  constructor(path: string, options: ByteLogOptions = {}) {
    const { limitBytes = Number.POSITIVE_INFINITY, reopen = false, cut } = options;
    this.path = path;
    this.#limitBytes = limitBytes;
    this.#endBytes = endBytes(limitBytes);
    this.#overLimit = overLimit(limitBytes);
    this.#cut = cut;
    this.#reads = new SharedReads(path);
    let lost = 0;
    this.#writer = new FileWriter(path, {
      ...(options.memoryBytes !== undefined && { memoryBytes: options.memoryBytes }),
      ...(reopen && { goOnAt: this.#reopen() }),
      beforeGap: options.beforeGap ?? (() => {}),
      changed: () => {
        this.#changes.ring();
        options.changed?.();
        const { bytes } = this.missing ?? { bytes: 0 };
        if (bytes > lost) options.onLoss?.();
        lost = bytes;
      },
    });
  }

  /** Bytes that are in the file, or on their way there. */
  get length(): number {
    return this.#writer.length;
  }

  /** All of it so far, where that is so little that it has no file. */
  get little(): Uint8Array | null {
    return this.hasFile ? null : this.#writer.held;
  }

  /** Whether there is a file, or may be. */
  get hasFile(): boolean {
    return this.#writer.needsFile;
  }

  /** Bytes in the file. */
  get stored(): number {
    return this.#writer.written;
  }

  /** What the disk has refused; null: nothing. What is beyond the limit is not meant. */
  get missing(): Missing | null {
    return this.#writer.missing;
  }

  /** Bytes that came, also those that are kept aside or dropped. */
  get received(): number {
    return this.#tail && !this.#closed ? this.#head + this.#tail.length : this.length;
  }

  /** An earlier process may have been killed at any moment: what is in the files is what counts. */
  #reopen(): number {
    let size = statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
    const [head] = numbersAfter(`${this.path}.tail-`);
    if (head !== undefined) {
      const tail = new TailFile(tailPath(this.path, head), this.#endBytes);
      if (size >= head) {
        // It was about to put the end behind the beginning.
        if (size > head) truncateSync(this.path, head);
        size = head;
        this.#head = head;
        this.#tail = tail;
      } else tail.remove();
    }
    return size;
  }

  /** Resolves when there is room for more; the chunk must not be changed afterwards. */
  append(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#ending) throw new Error(`${this.path} has ended`);
    if (chunk.length === 0) return undefined;
    if (this.#tail) return this.#pushTail(this.#tail, chunk);
    // Output that just fits stays whole: only what is kept aside is ever dropped.
    if (this.length + chunk.length > this.#limitBytes - this.#endBytes)
      return this.#startTail(chunk);
    return this.#writer.write(chunk);
  }

  #startTail(chunk: Uint8Array): Promise<void> | undefined {
    const left = Math.floor(this.#limitBytes) - this.#endBytes - this.length;
    const most = left + this.#overLimit;
    const line = chunk.indexOf(lineFeed, Math.max(0, left - 1)) + 1;
    if (line === 0 && chunk.length <= most) return this.#writer.write(chunk);
    const room = line === 0 ? Math.max(0, most) : Math.min(line, Math.max(0, most));
    const drained = this.#writer.write(chunk.subarray(0, room));
    this.#head = this.length;
    try {
      this.#tail = new TailFile(tailPath(this.path, this.#head), this.#endBytes);
    } catch (error) {
      // The next chunk tries again.
      this.#writer.lose(chunk.length - room, error);
      return drained;
    }
    this.#pushTail(this.#tail, chunk.subarray(room));
    return drained;
  }

  #pushTail(tail: TailFile, chunk: Uint8Array): undefined {
    const before = tail.length;
    try {
      tail.push(chunk);
    } catch (error) {
      this.#writer.lose(chunk.length - (tail.length - before), error);
    }
  }

  /** The missing middle, in words, and the end. */
  async #writeTail(tail: TailFile): Promise<void> {
    let from = 0;
    if (tail.dropped > 0) {
      from = tail.dropped + this.#restOfLine(tail);
      const limit = formatBytes(this.#limitBytes);
      const note = `\n[${from} bytes are missing here: output is limited to ${limit}]\n`;
      await this.#writer.write(Buffer.from(note));
      this.#cut?.({ from: this.#head, missingBytes: from, noteBytes: note.length });
    }
    for (const chunk of tail.read(from)) await this.#writer.write(chunk);
  }

  /** Of the line whose beginning was dropped. */
  #restOfLine(tail: TailFile): number {
    const first = tail.read(tail.dropped, tail.dropped + this.#overLimit);
    return Buffer.concat([...first]).indexOf(lineFeed) + 1;
  }

  /** Resolves when all that came is in files, or cannot get there. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /** Of what came, that part; null where some of it was dropped. All of it must be flushed. */
  async read(from: number, to: number): Promise<Uint8Array | null> {
    const tail = this.#closed ? undefined : this.#tail;
    if (tail && to > this.#head && Math.max(from, this.#head) < this.#head + tail.dropped)
      return null;
    const end = tail ? Math.min(to, this.#head) : to;
    const chunks: Uint8Array[] = [];
    const { held } = this.#writer;
    if (held) chunks.push(held.subarray(from, end));
    else if (from < end) {
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

  /** To be called instead of append where bytes cannot be kept. */
  lose(bytes: number, error: unknown): void {
    this.#writer.lose(bytes, error);
  }

  /** No more bytes will come; resolves when all are in the file. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    if (this.#tail) await this.#writeTail(this.#tail);
    await this.#writer.end();
    // Only now that all of it is in the file: until then it is the one place where the end is.
    this.#tail?.remove();
    this.#closed = true;
    this.#changes.ring();
    if (this.error) throw this.error;
  }

  get ended(): boolean {
    return this.#closed;
  }

  /** Set where the file could not be made at all. */
  get error(): Error | null {
    return this.#writer.error;
  }

  /** The bytes from `offset` on: what is there now, then what comes, until the end or the signal. */
  async *follow(offset = 0, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    while (!this.#writer.isOpen && !this.#closed && !signal?.aborted) {
      if (this.error) throw this.error;
      await this.#changes.heard(signal);
    }
    if (signal?.aborted) return;
    let position = offset;
    if (this.#writer.isOpen) {
      const forget = this.#writer.recent.follow();
      const leave = this.#reads.follow();
      try {
        position = yield* this.#followWritten(offset, signal);
      } finally {
        forget();
        await leave();
      }
    }
    if (signal?.aborted) return;
    const { postscript, written } = this.#writer;
    if (position < written + postscript.length) yield postscript.subarray(position - written);
  }

  async *#followWritten(offset: number, signal?: AbortSignal): AsyncGenerator<Uint8Array, number> {
    let position = offset;
    while (!signal?.aborted) {
      const { written, held, recent } = this.#writer;
      if (position >= written) {
        if (this.error) throw this.error;
        if (this.#closed) break;
        await this.#changes.heard(signal);
        continue;
      }
      const near = held ? held.subarray(position) : recent.from(position);
      const bytes = near ?? (await this.#reads.from(position, written));
      position += bytes.length;
      yield bytes;
    }
    return position;
  }
}

function tailPath(path: string, head: number): string {
  return `${path}.tail-${head}`;
}
