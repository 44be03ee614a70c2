/** How many streams are open, and may be. */
export class StreamCount {
  readonly limit: number;
  #open = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get open(): number {
    return this.#open;
  }

  /** Throws where one more would be too many. */
  check(): void {
    if (this.#open >= this.limit) throw new TooManyStreams(this.limit);
  }

  /**
   * Counts it from its first byte to its end. Throws where there are too many already; not from the request
   * on, since the answer to a HEAD is never read, and so never ends.
   */
  counted<T>(
    produce: (signal: AbortSignal) => AsyncIterable<T>,
  ): (signal: AbortSignal) => AsyncGenerator<T> {
    this.check();
    const enter = () => {
      this.#open += 1;
    };
    const leave = () => {
      this.#open -= 1;
    };
    return async function* (signal) {
      enter();
      try {
        yield* produce(signal);
      } finally {
        leave();
      }
    };
  }
}

export class TooManyStreams extends Error {
  constructor(limit: number) {
    super(`${limit} streams are open, and no more may be. Close some, or try again later`);
  }
}
