// A terminal as its client has it: output as one stream that is read once, input by offset.

import { asError } from "../../lib/as-error.js";
import { orAborted, within } from "../../lib/or-else.js";
import type { TerminalEnd, TerminalOutput, TerminalSize } from "../../wire/kept.js";
import type { SandboxTerminal } from "../executors/executor.js";

export interface KeptTerminalOptions {
  /** Told once: nothing of it runs any more. */
  readonly closed: () => void;
}

/** Between being opened and its output being read. */
const claimedWithinMs = 15_000;
/** A program that reads nothing must not hold the request of what was typed for ever. */
const takenWithinMs = 10_000;

export type InputAnswer = "taken" | "full" | "gap";

export class KeptTerminal {
  readonly #terminal: SandboxTerminal;
  readonly #options: KeptTerminalOptions;
  readonly #over = new AbortController();
  readonly #unclaimed: NodeJS.Timeout;
  #claimed = false;
  #end: TerminalEnd | null = null;
  #received = 0;
  #writing: Promise<void> | null = null;
  #inputEnded = false;

  constructor(terminal: SandboxTerminal, options: KeptTerminalOptions) {
    this.#terminal = terminal;
    this.#options = options;
    this.#unclaimed = setTimeout(() => void this.#close(), claimedWithinMs);
    this.#unclaimed.unref();
  }

  get isClaimed(): boolean {
    return this.#claimed;
  }

  /** Whatever ends the reading ends the terminal. */
  async *output(signal: AbortSignal): AsyncGenerator<TerminalOutput> {
    this.#claimed = true;
    clearTimeout(this.#unclaimed);
    const ended = AbortSignal.any([signal, this.#over.signal]);
    const chunks = this.#terminal.output[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await orAborted(chunks.next(), ended, () => null);
        if (next === null || next.done) break;
        yield { kind: next.value.stream, bytes: next.value.bytes };
      }
      if (signal.aborted) return;
      this.#end ??= { exitCode: await this.#terminal.exitCode() };
      // Whoever hears of the end finds the sandbox as it is after it.
      await this.#close();
      yield { kind: "end", end: this.#end };
    } catch (error) {
      yield { kind: "end", end: this.#end ?? { problem: asError(error).message } };
    } finally {
      await this.#close();
    }
  }

  /** `offset`: of the first byte among all that were typed. */
  async input(bytes: Uint8Array, offset: number, { isLast = false } = {}): Promise<InputAnswer> {
    if (offset > this.#received) return "gap";
    if (this.#writing) await within(takenWithinMs, this.#writing, () => {});
    if (this.#writing) return "full";
    const news = bytes.subarray(this.#received - offset);
    this.#received += news.length;
    if (news.length > 0 && !this.#inputEnded) {
      const writing = this.#terminal
        .write(news)
        .catch(() => {})
        .finally(() => {
          this.#writing = null;
        });
      this.#writing = writing;
    }
    if (isLast && !this.#inputEnded) {
      this.#inputEnded = true;
      this.#terminal.endInput();
    }
    return "taken";
  }

  resize(size: TerminalSize): Promise<void> {
    return this.#terminal.resize(size);
  }

  /** From outside; its client is told why. */
  end(end: TerminalEnd): void {
    this.#end ??= end;
    this.#over.abort();
    if (!this.#claimed) void this.#close();
  }

  #closing: Promise<void> | null = null;
  #close(): Promise<void> {
    clearTimeout(this.#unclaimed);
    this.#closing ??= this.#terminal
      .hangUp()
      .catch(() => {})
      .finally(() => this.#options.closed());
    return this.#closing;
  }
}
