// Which runs are under way, and which wait for their turn. First come, first served.

import { setMaxListeners } from "node:events";
import type { QueueView } from "../../wire/boss.js";

interface LiveRun {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
  readonly start: () => void;
}

export class RunQueue {
  readonly #concurrentRuns: number;
  readonly #live = new Map<number, LiveRun>();
  /** Ids, in order; a Set forgets a cancelled one at once. */
  readonly #waiting = new Set<number>();
  #running = 0;
  readonly #onChange: () => void;
  #view: QueueView;
  #stopped = false;

  constructor(concurrentRuns: number, onChange: () => void = () => {}) {
    this.#concurrentRuns = concurrentRuns;
    this.#onChange = onChange;
    this.#view = { concurrentRuns, waiting: [] };
  }

  /** Another object whenever it has changed. */
  view(): QueueView {
    return this.#view;
  }

  #tell(): void {
    const waiting = [...this.#waiting];
    if (waiting.join() === this.#view.waiting.join()) return;
    this.#view = { concurrentRuns: this.#concurrentRuns, waiting };
    this.#onChange();
  }

  /** `execute` never rejects, and ends soon after its signal is aborted. `now`: it waits for no turn. */
  add(
    id: number,
    execute: (signal: AbortSignal) => Promise<void>,
    { now = false }: { readonly now?: boolean } = {},
  ): void {
    const cancel = new AbortController();
    // One listener a task in flight is no leak.
    setMaxListeners(0, cancel.signal);
    let start = () => {};
    const done = new Promise<void>((resolve) => {
      start = resolve;
    })
      .then(() => execute(cancel.signal))
      .finally(() => {
        this.#live.delete(id);
        this.#running -= 1;
        this.#startNext();
        this.#tell();
      });
    this.#live.set(id, { cancel, done, start });
    this.#waiting.add(id);
    if (now) this.#start(id);
    else this.#startNext();
    this.#tell();
  }

  /** None of those that wait will start any more; they are not live then. */
  stop(): void {
    for (const id of this.#waiting) this.#live.delete(id);
    this.#waiting.clear();
    this.#stopped = true;
    this.#tell();
  }

  /** True while the run is under way or waits, and nobody has cancelled it. */
  canCancel(id: number): boolean {
    const run = this.#live.get(id);
    return run !== undefined && !run.cancel.signal.aborted;
  }

  has(id: number): boolean {
    return this.#live.has(id);
  }

  cancel(id: number): void {
    this.#live.get(id)?.cancel.abort();
    // One that still waits has nothing to end; it passes through at once.
    if (this.#waiting.has(id)) this.#start(id);
    this.#tell();
  }

  /** Resolves when the run has ended; at once where there is none. */
  async done(id: number): Promise<void> {
    await this.#live.get(id)?.done;
  }

  /** Resolves when every run has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.#live.values()].map((run) => run.done));
  }

  ids(): number[] {
    return [...this.#live.keys()];
  }

  #startNext(): void {
    for (const id of this.#waiting) {
      if (this.#stopped) return;
      if (this.#running >= this.#concurrentRuns) return;
      this.#start(id);
    }
  }

  #start(id: number): void {
    this.#waiting.delete(id);
    this.#running += 1;
    this.#live.get(id)?.start();
  }
}
