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

const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export function trapInterrupts(): Interrupts {
  const controller = new AbortController();
  const lastWords: (() => void)[] = [];
  let first = "";
  const onSignal = (name: NodeJS.Signals) => {
    if (!controller.signal.aborted) {
      first = name === "SIGINT" ? "Ctrl-C" : name;
      controller.abort();
      return;
    }
    for (const work of lastWords) work();
    process.exit(exitCodes.cancelled);
  };
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    by: () => first,
    onExit: (work) => void lastWords.push(work),
    stop: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
