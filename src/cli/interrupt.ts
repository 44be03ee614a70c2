// Ctrl-C and its relatives: the first asks for an orderly end, the second ends at once.

import { exitCodes } from "../model/exit-code.js";

export interface Interrupts {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** What the first one was, for people. */
  by(): string;
  /** Runs right before an exit at once, unless what it gives back was called before. */
  onExit(work: () => void): () => void;
  stop(): void;
}

/** The command that runs; null where nothing has to be ended in order. */
let running: { readonly end: (why: string) => void; readonly serves: boolean } | null = null;

/** As a first signal, but never as a second one. False where no command has trapped signals. */
export function interruptOnce(why: string): boolean {
  running?.end(why);
  return running !== null;
}

/** What it says is a log only; what it does is for others. */
export function canDoWithoutOutput(): boolean {
  return running?.serves ?? false;
}

const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export function trapInterrupts({ serves = false } = {}): Interrupts {
  const controller = new AbortController();
  const lastWords = new Set<() => void>();
  let first = "";
  const begin = (why: string) => {
    if (controller.signal.aborted) return false;
    first = why;
    controller.abort();
    return true;
  };
  const onSignal = (name: NodeJS.Signals) => {
    if (begin(name === "SIGINT" ? "Ctrl-C" : name)) return;
    for (const work of lastWords) work();
    process.exit(exitCodes.cancelled);
  };
  for (const name of names) process.on(name, onSignal);
  running = { end: (why) => void begin(why), serves };
  return {
    signal: controller.signal,
    by: () => first,
    onExit(work) {
      lastWords.add(work);
      return () => void lastWords.delete(work);
    },
    stop: () => {
      for (const name of names) process.off(name, onSignal);
      running = null;
    },
  };
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
