// How many tasks may run at once, over all runs: as many as the workers can take. First come, first served.

interface Waiting {
  readonly start: () => void;
  readonly signal: AbortSignal;
  readonly onAbort: () => void;
}

export class TaskSlots {
  readonly #capacity: () => number;
  #used = 0;
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
        signal,
        start: () => resolve(this.#take()),
        onAbort: () => {
          this.#queue.delete(waiting);
          resolve(null);
        },
      };
      signal.addEventListener("abort", waiting.onAbort);
      this.#queue.add(waiting);
      this.pump();
    });
  }

  /** To be called when the capacity may have grown. */
  pump(): void {
    const capacity = Math.max(1, this.#capacity());
    for (const waiting of this.#queue) {
      if (this.#used >= capacity) return;
      this.#queue.delete(waiting);
      waiting.signal.removeEventListener("abort", waiting.onAbort);
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
      this.pump();
    };
  }
}
