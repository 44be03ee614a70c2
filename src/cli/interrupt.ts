// Ctrl-C and its relatives: the first asks for an orderly end, the second ends at once.

import { exitCodes } from "../model/exit-code.js";

export interface Interrupts {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** What the first one was, for people. */
  by(): string;
  /** Runs right before an exit at once. */
  onExit(work: () => void): void;
  stop(): void;
}

/** Of the command that runs; null where nothing has to be ended in order. */
let endInOrder: (() => void) | null = null;

/** As a first signal, but never as a second one. False where no command has trapped signals. */
export function interruptOnce(): boolean {
  endInOrder?.();
  return endInOrder !== null;
}

const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export function trapInterrupts(): Interrupts {
  const controller = new AbortController();
  const lastWords: (() => void)[] = [];
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
  endInOrder = () => void begin("the end of its reader");
  return {
    signal: controller.signal,
    by: () => first,
    onExit: (work) => void lastWords.push(work),
    stop: () => {
      for (const name of names) process.off(name, onSignal);
      endInOrder = null;
    },
  };
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
