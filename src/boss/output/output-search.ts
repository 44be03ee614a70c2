// Searches outputs, few at a time and none for ever.

import { Worker } from "node:worker_threads";
import { Bell } from "../../lib/bell.js";
import { BadRequest } from "../../wire/body.js";
import type { DiffOrder, DiffResult } from "./output-diff.js";
import type { SearchOrder, SearchPart } from "./output-search-thread.js";

const threads = 4;
const maxWaiting = 50;
export const maxPatternChars = 1000;
const memoryMb = 128;

export class SearchBusy extends Error {}

/** The pattern takes too long: said to the reader. */
export class SearchTooLong extends Error {}

export class OutputSearch {
  readonly #limitMs: number;
  #running = 0;
  #waiting = 0;
  readonly #freed = new Bell();

  constructor({ limitMs = 10_000 }: { readonly limitMs?: number } = {}) {
    this.#limitMs = limitMs;
  }

  /** Part by part, until all is searched or the signal is aborted. */
  search(order: SearchOrder, signal: AbortSignal): AsyncGenerator<SearchPart> {
    return this.#run({ search: order }, signal);
  }

  /** Null where the signal was aborted first. */
  async diff(order: DiffOrder, signal: AbortSignal): Promise<DiffResult | null> {
    for await (const result of this.#run<DiffResult & { done: true }>({ diff: order }, signal)) {
      return result;
    }
    return null;
  }

  async *#run<Part extends { done: boolean }>(
    order: object,
    signal: AbortSignal,
  ): AsyncGenerator<Part> {
    await this.#turn(signal);
    try {
      if (!signal.aborted) yield* runThread<Part>(order, { limitMs: this.#limitMs, signal });
    } finally {
      this.#running -= 1;
      this.#freed.ring();
    }
  }

  async #turn(signal: AbortSignal) {
    if (this.#running >= threads) {
      if (this.#waiting >= maxWaiting) throw new SearchBusy("too many searches at once: try again");
      this.#waiting += 1;
      while (this.#running >= threads && !signal.aborted) await this.#freed.heard(signal);
      this.#waiting -= 1;
    }
    // Without an await since the look at it: two that were woken must not take the same place.
    this.#running += 1;
  }
}

/** Refused before anything is read. */
export function requirePattern(source: string): void {
  try {
    new RegExp(source);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BadRequest(reason.replace(/^Invalid regular expression: /, "not a pattern: "), {
      field: "q",
    });
  }
}

async function* runThread<Part extends { done: boolean }>(
  workerData: object,
  { limitMs, signal }: { readonly limitMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Part> {
  const worker = new Worker(new URL("./output-search-thread.js", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    execArgv: [],
    env: {},
  });
  const parts: Part[] = [];
  const changes = new Bell();
  let error: Error | null = null;
  let isOver = false;
  const end = (reason: Error | null) => {
    error ??= reason;
    isOver = true;
    changes.ring();
  };
  worker.on("message", (part: Part) => {
    parts.push(part);
    changes.ring();
  });
  worker.on("error", end);
  worker.on("exit", () => end(null));
  const seconds = limitMs / 1000;
  const timer = setTimeout(
    () => end(new SearchTooLong(`it took longer than ${seconds} s: try a simpler pattern`)),
    limitMs,
  );
  try {
    while (!signal.aborted) {
      const part = parts.shift();
      if (part) {
        yield part;
        if (part.done) return;
      } else if (error) throw error;
      else if (isOver) throw new Error("the search ended early");
      else await changes.heard(signal);
    }
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
