// What one attempt of a task printed, in one file, and whose bytes are where in it. A boss that was killed
// opens it again, and asks how much of each call it has.

import { existsSync, rmSync, writeFileSync } from "node:fs";
import { ByteLog } from "../../lib/byte-log.js";
import type { StoredOutput } from "../../model/events.js";
import { type Mark, OutputMarks, readMarks } from "./output-marks.js";

/** What the task's own code prints; its calls are numbered from 1. */
export const ownSource = 0;

/** What the execution of a task needs of one. */
export type PrintedOutput = Pick<
  AttemptOutput,
  "append" | "flush" | "receivedFrom" | "earlierEndOf" | "hasGap"
>;

export interface AttemptOutputOptions {
  readonly limitBytes: number;
  readonly reopen?: boolean;
  /** Called when the disk has refused bytes. */
  readonly onLoss?: () => void;
}

export class AttemptOutput {
  /** An earlier boss has left out bytes for which the disk had no room, so those that came cannot be counted. */
  readonly hasGap: boolean;
  readonly #log: ByteLog;
  readonly #marks: OutputMarks;
  readonly #received = new Map<number, number>();
  /** Of before the boss was killed. */
  #earlier: readonly Mark[] = [];
  #earlierEnd = 0;

  /** What may be there of it. */
  static remove(path: string): void {
    for (const one of [path, marksPath(path), gapPath(path)]) rmSync(one, { force: true });
  }

  constructor(
    path: string,
    { limitBytes, reopen = false, onLoss = () => {} }: AttemptOutputOptions,
  ) {
    this.hasGap = reopen && existsSync(gapPath(path));
    this.#marks = new OutputMarks(marksPath(path));
    this.#log = new ByteLog(path, {
      limitBytes,
      reopen,
      cut: (cut) => this.#marks.cut(cut),
      onLoss,
      beforeGap: () => writeFileSync(gapPath(path), ""),
    });
    if (reopen) this.#reopen(path);
  }

  #reopen(path: string): void {
    const end = this.#log.received;
    const { marks } = readMarks(marksPath(path));
    this.#earlier = marks.filter(({ offset }) => offset < end);
    this.#earlierEnd = end;
    this.#marks.reopen(this.#earlier);
    for (const [mark, until] of this.#segments()) {
      const before = this.#received.get(mark.source) ?? 0;
      this.#received.set(mark.source, before + until - mark.offset);
    }
  }

  *#segments(): Generator<readonly [Mark, number]> {
    for (const [index, mark] of this.#earlier.entries()) {
      yield [mark, this.#earlier[index + 1]?.offset ?? this.#earlierEnd];
    }
  }

  get length(): number {
    return this.#log.length;
  }

  /** Of all that was printed, after the end. */
  get stored(): StoredOutput {
    const { stored: bytes, missing } = this.#log;
    return { bytes, ...(missing && { missing }) };
  }

  /** So many bytes came from there. */
  receivedFrom(source: number): number {
    return this.#received.get(source) ?? 0;
  }

  append(source: number, bytes: Uint8Array): Promise<void> | undefined {
    if (bytes.length === 0) return undefined;
    try {
      this.#marks.note(this.#log.received, source);
    } catch (error) {
      // Without a mark nobody could say later whose bytes these are.
      this.#log.lose(bytes.length, error);
      return undefined;
    }
    this.#received.set(source, this.receivedFrom(source) + bytes.length);
    return this.#log.append(bytes);
  }

  /** Resolves when all that came is in the file. */
  flush(): Promise<void> {
    return this.#log.flush();
  }

  /** Before this process, the last bytes that came from there; null where they are not kept any more. */
  async earlierEndOf(source: number, limitBytes: number): Promise<Uint8Array | null> {
    const chunks: Uint8Array[] = [];
    let left = limitBytes;
    for (const [mark, until] of [...this.#segments()].reverse()) {
      if (mark.source !== source) continue;
      if (left <= 0) break;
      const from = Math.max(mark.offset, until - left);
      const bytes = await this.#log.read(from, until);
      if (!bytes) return null;
      chunks.unshift(bytes);
      left -= bytes.length;
    }
    return Buffer.concat(chunks);
  }

  async end(): Promise<void> {
    try {
      await this.#log.end();
    } finally {
      this.#marks.close();
    }
  }

  follow(offset?: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    return this.#log.follow(offset, signal);
  }
}

/** A file that says that the output lacks something in the middle. */
function gapPath(path: string): string {
  return `${path}.gap`;
}

export function marksPath(path: string): string {
  return `${path}.marks`;
}
