// How many tasks may run at once, over all runs: as many as the workers can take. First come, first served.

import { onAbort } from "../../lib/on-abort.js";

interface Waiting {
  readonly start: () => void;
  readonly forget: () => void;
}

export class TaskSlots {
  readonly #capacity: () => number;
  #used = 0;
  #stopped = false;
  #idle: () => void = () => {};
  // A Set keeps the order and forgets an aborted waiter at once, however long the queue.
  readonly #queue = new Set<Waiting>();

  constructor(capacity: () => number) {
    this.#capacity = capacity;
  }

  /** Resolves to the function that gives the slot back; null when the signal was aborted first. */
  acquire(signal: AbortSignal): Promise<(() => void) | null> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(null);
      const waiting: Waiting = {
        start: () => resolve(this.#take()),
        forget: onAbort(signal, () => {
          this.#queue.delete(waiting);
          resolve(null);
        }),
      };
      this.#queue.add(waiting);
      this.pump();
    });
  }

  /** A slot for who had one before the boss was killed, however many there are now. */
  seize(): () => void {
    return this.#take();
  }

  /** From now on nobody gets one. Resolves when all are given back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#used === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /** To be called when the capacity may have grown. */
  pump(): void {
    if (this.#stopped) return;
    const capacity = Math.max(1, this.#capacity());
    for (const waiting of this.#queue) {
      if (this.#used >= capacity) return;
      this.#queue.delete(waiting);
      waiting.forget();
      waiting.start();
    }
  }

  #take(): () => void {
    this.#used += 1;
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#used -= 1;
      if (this.#used === 0) this.#idle();
      this.pump();
    };
  }
}
