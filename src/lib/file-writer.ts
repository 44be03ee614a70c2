// Writes bytes to the end of a new file, in order, without holding up whoever gives them. What the disk
// refuses is lost, and is said: where there is room again a line in the file tells how much is missing.

import { close, constants, ftruncate, open, openSync, write, writeSync, writev } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { asError } from "./as-error.js";
import { codeOf } from "./code-of.js";
import { RecentBytes } from "./recent-bytes.js";

/** More than this on its way, and write asks its caller to wait. */
const highWaterBytes = 1024 * 1024;

/** Pieces below this are copied into one; or, where nothing else is on its way, are written at once. */
const smallBytes = 16 * 1024;

/** A disk that was full a moment ago most likely still is. */
const retryPauseMs = 1000;

export interface Missing {
  readonly bytes: number;
  /** "ENOSPC: no space left on device" */
  readonly because: string;
}

export interface FileWriterOptions {
  /** So much is kept in memory before there is a file; default: nothing is. */
  readonly memoryBytes?: number;
  /** Goes on with the file that is there, behind so many bytes. Otherwise there must be none. */
  readonly goOnAt?: number;
  /** Called after every change that a reader or a watcher of the file may care for. */
  readonly changed: () => void;
  /**
   * Called when bytes are lost, and again before a line in the file says so. May throw where the disk is full; that
   * line must then wait.
   */
  readonly beforeGap: () => void;
}

export class FileWriter {
  readonly path: string;
  readonly #options: FileWriterOptions;
  #file: number | null = null;
  /** All of it, while it is little, and then until the file has it: readers have seen it. */
  #held: Uint8Array | null = null;
  /** It has become too much for memory. */
  #needsFile = true;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #written = 0;
  /** The last of what is in the file, for readers who keep up with it. */
  readonly recent = new RecentBytes();
  #pumping: Promise<void> | null = null;
  #drained: { promise: Promise<void>; resolve: () => void } | null = null;
  #missing: Missing | null = null;
  /** Missing at this very place of the file, and not yet said there. */
  #gapBytes = 0;
  #retryAt = 0;
  #refusal: unknown = null;
  #error: Error | null = null;
  #postscript: Uint8Array = new Uint8Array();
  #ended: Promise<void> | null = null;

  constructor(path: string, options: FileWriterOptions) {
    this.path = path;
    this.#options = options;
    this.#written = options.goOnAt ?? 0;
    if (options.memoryBytes) {
      this.#held = new Uint8Array();
      this.#needsFile = false;
    } else if (!this.#openNow()) this.#pump();
  }

  /** Bytes that can be read. */
  get written(): number {
    return this.#written;
  }

  /** Bytes in the file once all that was given is written, and what is missing is said. */
  get length(): number {
    const noteBytes = this.#gapBytes > 0 ? this.#gapNote().length : 0;
    return this.#written + this.#queuedBytes + noteBytes;
  }

  /** What was lost so far, all together. */
  get missing(): Missing | null {
    return this.#missing;
  }

  /** Whether there is something to read: the file, or what stands for it. */
  get isOpen(): boolean {
    return this.#file !== null || this.#held !== null;
  }

  /** All that can be read, where that is in memory; null: it is in the file. */
  get held(): Uint8Array | null {
    return this.#held;
  }

  /** Whether there is a file, or may be. */
  get needsFile(): boolean {
    return this.#needsFile;
  }

  /** Why there is no file, and will be none. */
  get error(): Error | null {
    return this.#error;
  }

  /** Last words that found no room in the file; known at the end. */
  get postscript(): Uint8Array {
    return this.#postscript;
  }

  /** A promise resolves when there is room for more; the chunk must not be changed afterwards. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (chunk.length === 0 || this.#error) return undefined;
    if (this.#held && !this.#needsFile) {
      if (this.#hold(this.#held, chunk)) return undefined;
      this.#needsFile = true;
    }
    if (this.#writeNow(chunk)) return undefined;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    this.#pump();
    if (this.#queuedBytes <= highWaterBytes) return undefined;
    this.#drained ??= newPromise();
    return this.#drained.promise;
  }

  /** False: it is to be tried with patience, and with words for what stands in the way. */
  #openNow(): boolean {
    try {
      this.#file = openSync(this.path, this.#flags);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Little costs less when it is written here and now than when it is handed to another thread and back. False: it must
   * wait for what comes before it, it is too much, or the disk does not take all of it.
   */
  #writeNow(chunk: Uint8Array): boolean {
    const isNext = this.#pumping === null && this.#gapBytes === 0 && !this.#held;
    if (this.#file === null || !isNext || chunk.length > smallBytes) return false;
    try {
      if (writeSync(this.#file, chunk, 0, chunk.length, this.#written) < chunk.length) return false;
    } catch {
      return false;
    }
    this.recent.add(this.#written, [chunk]);
    this.#written += chunk.length;
    this.#options.changed();
    return true;
  }

  /** False: it is too much. */
  #hold(held: Uint8Array, chunk: Uint8Array): boolean {
    const { memoryBytes = 0, changed } = this.#options;
    if (held.length + chunk.length > memoryBytes) return false;
    this.#held = Buffer.concat([held, chunk]);
    this.#written = this.#held.length;
    changed();
    return true;
  }

  /** These bytes, which come next, cannot be kept. */
  lose(bytes: number, error: unknown): void {
    if (bytes === 0) return;
    // At once: a process that is killed now has no other way to tell the next one that something is missing.
    if (this.#gapBytes === 0) {
      try {
        this.#options.beforeGap();
      } catch {
        // It is tried again before anything stands behind the gap.
      }
    }
    this.#needsFile = true;
    this.#gapBytes += bytes;
    this.#missing = { bytes: (this.#missing?.bytes ?? 0) + bytes, because: reason(error) };
    this.#options.changed();
  }

  /** Resolves when all that was given is in the file, or is lost. */
  async flush(): Promise<void> {
    while (this.#pumping) await this.#pumping;
  }

  /** As flush, and closes the file. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await this.flush();
    if (this.#gapBytes > 0) {
      await this.#sayGap().catch(() => {
        this.#postscript = this.#gapNote();
      });
    }
    // Beyond what counts there may be the beginning of a write that was refused.
    const counts = this.#held ? 0 : this.#written;
    if (this.#file !== null) {
      if (this.#missing) await truncateFile(this.#file, counts).catch(() => {});
      await closeFile(this.#file);
    }
    this.#options.changed();
  }

  #pump(): void {
    this.#pumping ??= this.#work().finally(() => {
      this.#pumping = null;
      // What came between the last look into the queue and now.
      if (this.#queue.length > 0 && !this.#error) this.#pump();
    });
  }

  async #work(): Promise<void> {
    do {
      const batch = this.#queue;
      this.#queue = [];
      await this.#store(batch);
      this.#drained?.resolve();
      this.#drained = null;
    } while (this.#queue.length > 0);
  }

  async #store(batch: Uint8Array[]): Promise<void> {
    let left = batch.reduce((sum, chunk) => sum + chunk.length, 0);
    if (performance.now() < this.#retryAt) return this.#refuse(left);
    try {
      const file = await this.#openOnce();
      await this.#spill(file);
      if (left > 0 && this.#gapBytes > 0) await this.#sayGap();
      for (let rest = gathered(batch, left); left > 0; ) {
        const { bytesWritten } = await writePieces(file, rest, this.#written);
        if (bytesWritten === left) this.recent.add(this.#written, rest);
        left -= bytesWritten;
        this.#queuedBytes -= bytesWritten;
        this.#written += bytesWritten;
        this.#options.changed();
        if (left > 0) rest = [Buffer.concat(rest).subarray(bytesWritten)];
      }
    } catch (error) {
      if (this.#file !== null || isFull(error)) {
        this.#retryAt = performance.now() + retryPauseMs;
        this.#refusal = error;
        return this.#refuse(left);
      }
      this.#error = asError(error);
      this.#queuedBytes = 0;
      this.#queue = [];
      this.#options.changed();
    }
  }

  #refuse(bytes: number): void {
    this.#queuedBytes -= bytes;
    this.lose(bytes, this.#refusal);
  }

  get #flags(): number {
    const { O_CREAT, O_EXCL, O_RDWR, O_WRONLY } = constants;
    return this.#options.goOnAt === undefined ? O_WRONLY | O_CREAT | O_EXCL : O_RDWR | O_CREAT;
  }

  async #openOnce(): Promise<number> {
    if (this.#file !== null) return this.#file;
    this.#file = await openFile(this.path, this.#flags).catch(async (error: unknown) => {
      if (codeOf(error) !== "ENOENT") throw error;
      await mkdir(dirname(this.path), { recursive: true });
      return await openFile(this.path, this.#flags);
    });
    this.#options.changed();
    return this.#file;
  }

  /** What was held in memory goes first, as a whole. */
  async #spill(file: number): Promise<void> {
    if (!this.#held) return;
    await writeAll(file, this.#held, 0);
    this.#held = null;
  }

  /** Counts only as a whole; a part of it is overwritten by the next write. */
  async #sayGap(): Promise<void> {
    const file = await this.#openOnce();
    await this.#spill(file);
    this.#options.beforeGap();
    const bytes = this.#gapBytes;
    const note = this.#gapNote();
    await writeAll(file, note, this.#written);
    this.#gapBytes -= bytes;
    this.#written += note.length;
    this.#options.changed();
  }

  #gapNote(): Uint8Array {
    return Buffer.from(
      `\n[${this.#gapBytes} bytes are missing here: they could not be stored (${this.#missing?.because})]\n`,
    );
  }
}

const openFile = promisify(open) as (path: string, flags: number) => Promise<number>;
const closeFile = promisify(close);
const truncateFile = promisify(ftruncate);
const writePiece = promisify(write);
const writePieces = promisify(writev);

async function writeAll(file: number, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await writePiece(file, bytes, done, bytes.length - done, at + done)).bytesWritten;
  }
}

/** One write of much costs less than one of many small pieces, and so do the readers of it. */
function gathered(chunks: Uint8Array[], bytes: number): Uint8Array[] {
  return chunks.length > 1 && bytes / chunks.length < smallBytes ? [Buffer.concat(chunks)] : chunks;
}

function newPromise(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** There may be room later. */
function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"].includes(codeOf(error));
}

/** Without the system call and the path that Node puts behind it. */
function reason(error: unknown): string {
  return asError(error).message.replace(/^(E[A-Z]+: [^,]+),.*$/s, "$1");
}
