// To end a container costs its engine about as much as many a command, and nobody waits for it. So one in which nothing
// runs any more stands still while commands run, for a moment, and goes when there are fewer.

export interface RestsOptions {
  /** Of those that stand still; of more, the oldest one goes. Each takes as much as one that is kept ready. */
  readonly most?: number;
  readonly longestMs?: number;
  /** Between two commands there is no end of it. */
  readonly quietMs?: number;
}

export class Rests {
  readonly #most: number;
  readonly #longestMs: number;
  readonly #quietMs: number;
  readonly #resting = new Set<() => void>();
  #busy = 0;
  #quiet: NodeJS.Timeout | null = null;
  #closed = false;

  constructor({ most = 32, longestMs = 5_000, quietMs = 50 }: RestsOptions = {}) {
    this.#most = most;
    this.#longestMs = longestMs;
    this.#quietMs = quietMs;
  }

  /** A command is about to run; to be called back when it has ended. */
  began(): () => void {
    this.#busy += 1;
    this.#wait(null);
    return () => {
      this.#busy -= 1;
      if (this.#busy === 0 && !this.#closed) this.#wait(this.#quietMs);
    };
  }

  /** Resolves when it is time to go. */
  over(): Promise<void> {
    if (this.#closed || (this.#busy === 0 && !this.#quiet)) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#resting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, this.#longestMs);
      this.#resting.add(end);
      const [oldest] = this.#resting;
      if (this.#resting.size > this.#most) oldest?.();
    });
  }

  /** Nothing rests from now on. */
  close(): void {
    this.#closed = true;
    this.#wait(null);
    this.#endAll();
  }

  #wait(ms: number | null) {
    if (this.#quiet) clearTimeout(this.#quiet);
    this.#quiet = ms === null ? null : setTimeout(() => this.#endAll(), ms);
  }

  #endAll() {
    this.#quiet = null;
    for (const end of [...this.#resting]) end();
  }
}
