// What tasks printed: one file of bytes per attempt.

import { createReadStream, mkdirSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { overLimit } from "../../lib/byte-log.js";
import type { AttemptRef, StoredOutput } from "../../model/events.js";
import { type Pipeline, taskPosition } from "../../model/pipeline.js";
import { AttemptOutput, marksPath } from "./attempt-output.js";
import { type Mark, marksInFile, readMarks } from "./output-marks.js";
import { ServiceOutputs } from "./service-outputs.js";

/** Names one attempt of a run. The file is named by position, since task names may hold anything. */
export interface OutputRef {
  readonly run: number;
  readonly pipeline: Pipeline;
  readonly attempt: AttemptRef;
}

/** The line in which a worker says what it has cut. */
const noteBytes = 1024;

export interface FollowOutput {
  readonly offset?: number;
  /** Bytes. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** A large output is read in few steps. */
const readSize = 512 * 1024;

export class Outputs {
  readonly folder: string;
  readonly services: ServiceOutputs;
  readonly #limitBytes: number;
  readonly #onLoss: () => void;
  readonly #live = new Map<string, AttemptOutput>();
  #bytesOfEnded = 0;
  /** Of runs that began with this boss: what is in there is its own. */
  readonly #ownFolders = new Set<string>();

  constructor(
    folder: string,
    {
      maxOutputBytes,
      onTrouble = () => {},
    }: { readonly maxOutputBytes: number; readonly onTrouble?: () => void },
  ) {
    this.folder = folder;
    this.#onLoss = onTrouble;
    // What a worker has cut must not be cut again here, so the boss takes a little more than the worker sends.
    this.#limitBytes = maxOutputBytes + overLimit(maxOutputBytes) + noteBytes;
    this.services = new ServiceOutputs(this.#limitBytes, onTrouble);
  }

  /**
   * At once, so that attempts are announced in the order in which they start. `reopen`: an earlier boss was
   * killed in the middle of it.
   */
  open(ref: OutputRef, { reopen = false } = {}): AttemptOutput {
    const path = this.path(ref);
    const folder = dirname(path);
    try {
      if (!this.#ownFolders.has(folder)) {
        if (mkdirSync(folder, { recursive: true }) !== undefined) this.#ownFolders.add(folder);
        // A boss that was killed while its history could not be written leaves files of attempts that nobody knows of.
        else if (!reopen) AttemptOutput.remove(path);
      }
    } catch {
      // The output's own file meets the same trouble, and is better placed to say so, or to try again.
    }
    const output = new AttemptOutput(path, {
      limitBytes: this.#limitBytes,
      reopen,
      onLoss: this.#onLoss,
    });
    this.#live.set(path, output);
    return output;
  }

  /** Of all attempts since the start, those under way too. */
  get bytesReceived(): number {
    let bytes = this.#bytesOfEnded;
    for (const log of this.#live.values()) bytes += log.length;
    return bytes;
  }

  /** Ends the file; readers who follow it then end too. Says what it holds, and what it lacks. */
  async close(ref: OutputRef): Promise<StoredOutput> {
    const path = this.path(ref);
    const output = this.#live.get(path);
    try {
      await output?.end();
      return output?.stored ?? { bytes: 0 };
    } finally {
      this.#bytesOfEnded += this.#live.get(path)?.length ?? 0;
      this.#live.delete(path);
    }
  }

  /** More may come. */
  isLive(ref: OutputRef): boolean {
    return this.#live.has(this.path(ref));
  }

  /** Bytes so far; null where the attempt has not started. */
  async length(ref: OutputRef): Promise<number | null> {
    const path = this.path(ref);
    const live = this.#live.get(path);
    if (live) return live.length;
    return stat(path).then(
      (found) => found.size,
      () => null,
    );
  }

  /** Whose bytes are where in what there is now, and when they came. */
  async marks(ref: OutputRef): Promise<Mark[]> {
    return marksInFile(readMarks(marksPath(this.path(ref))), (await this.length(ref)) ?? 0);
  }

  /** The bytes that are there now. */
  async *read(ref: OutputRef, { offset = 0, limit = Number.POSITIVE_INFINITY } = {}) {
    const length = (await this.length(ref)) ?? 0;
    yield* this.follow(ref, { offset, limit: Math.min(limit, length - offset) });
  }

  /** What is there now and what comes, until the attempt ends. */
  async *follow(
    ref: OutputRef,
    { offset = 0, limit = Number.POSITIVE_INFINITY, signal }: FollowOutput = {},
  ): AsyncGenerator<Uint8Array> {
    let left = limit;
    if (left <= 0) return;
    const path = this.path(ref);
    const chunks =
      this.#live.get(path)?.follow(offset, signal) ??
      createReadStream(path, { start: offset, highWaterMark: readSize, ...(signal && { signal }) });
    for await (const chunk of chunks) {
      const part: Uint8Array = chunk.length > left ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      yield part;
      if (left <= 0) return;
    }
  }

  /** The folder of a run's files, made if it is not there. */
  async folderOf(run: number): Promise<string> {
    const folder = join(this.folder, String(run));
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Of all attempts of a run, and of the files that they have left. */
  async bytesOf(run: number): Promise<number> {
    return bytesIn(join(this.folder, String(run)));
  }

  async remove(run: number): Promise<void> {
    const folder = join(this.folder, String(run));
    this.#ownFolders.delete(folder);
    await rm(folder, { recursive: true, force: true });
  }

  /** Where it is. Whoever reads there sees what has been written so far. */
  path({ run, pipeline, attempt }: OutputRef): string {
    const position = taskPosition(pipeline, attempt);
    if (!position) throw new Error(`run ${run} has no task ${attempt.stage}.${attempt.task}`);
    return join(this.folder, String(run), `${position[0]}-${position[1]}-${attempt.attempt}.out`);
  }
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory()
      ? await bytesIn(path)
      : await stat(path).then(
          ({ size }) => size,
          () => 0,
        );
  }
  return bytes;
}
