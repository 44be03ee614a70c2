// How many tasks may run at once, over all runs: as many as the workers can take. First come, first served.

import { onAbort } from "../../lib/on-abort.js";

type Start = (release: (() => void) | null) => void;

export class TaskSlots {
  readonly #capacity: () => number;
  #used = 0;
  #stopped = false;
  #idle: () => void = () => {};
  // With what keeps its signal from ending the wait. A Map keeps the order and forgets an aborted waiter at once,
  // however long the queue.
  readonly #queue = new Map<Start, () => void>();

  constructor(capacity: () => number) {
    this.#capacity = capacity;
  }

  /** Resolves to the function that gives the slot back; null when the signal was aborted first. */
  acquire(signal: AbortSignal): Promise<(() => void) | null> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(null);
      const giveUp = () => {
        this.#queue.delete(resolve);
        resolve(null);
      };
      this.#queue.set(resolve, onAbort(signal, giveUp));
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
    for (const [start, unheard] of this.#queue) {
      if (this.#used >= capacity) return;
      this.#queue.delete(start);
      unheard();
      start(this.#take());
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
