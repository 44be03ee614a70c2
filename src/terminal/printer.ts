// Writes to a stream in order, at the reader's pace.

import { once } from "node:events";

export interface Printer {
  /** Work that prints; runs after all that was queued before. */
  queue(work: (write: Write) => Promise<void> | void): void;
  /** Resolves when all is written. */
  idle(): Promise<void>;
}

export type Write = (text: string) => Promise<void> | void;

export function createPrinter(out: NodeJS.WriteStream): Printer {
  let last: Promise<void> = Promise.resolve();
  const write: Write = (text) => {
    if (out.destroyed || out.write(text)) return;
    return once(out, "drain").then(
      () => undefined,
      () => undefined,
    );
  };
  return {
    queue(work) {
      last = last.then(() => work(write)).catch(() => {});
    },
    idle: () => last,
  };
}
