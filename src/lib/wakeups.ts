/** Wakes everybody who waits. Whoever waits looks for itself what has changed, so a wake-up carries nothing. */
export class Wakeups {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the next wake or when the signal is aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = () => {
        this.#waiting.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener("abort", wake);
    });
  }

  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  get idle(): boolean {
    return this.#waiting.size === 0;
  }
}
