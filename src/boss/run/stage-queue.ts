import { setImmediate } from "node:timers";
import type { RunEvent } from "../../model/events.js";
import type { TaskRef } from "../../model/pipeline.js";

/** So many events at once: a few milliseconds with a durable history. */
const sliceLength = 250;

/**
 * Tells that the tasks of a stage are queued: some at once, the others in slices while the first ones start
 * already. So the first of ten thousand does not wait until all are told.
 */
export class StageQueue {
  readonly refs: readonly TaskRef[];
  readonly #emit: (event: RunEvent) => void;
  readonly #now: () => number;
  #told = 0;

  constructor(
    refs: readonly TaskRef[],
    { emit, now }: { readonly emit: (event: RunEvent) => void; readonly now: () => number },
  ) {
    this.refs = refs;
    this.#emit = emit;
    this.#now = now;
    this.#goOn();
  }

  /** The one at this place is about to start, or to be skipped. */
  tellOf(index: number): void {
    while (this.#told <= index) this.#tellSlice();
  }

  /** Whoever has not been told of stays untold. */
  stop(): void {
    this.#told = this.refs.length;
  }

  #goOn(): void {
    if (this.#told >= this.refs.length) return;
    this.#tellSlice();
    if (this.#told < this.refs.length) setImmediate(() => this.#goOn());
  }

  #tellSlice(): void {
    const slice = this.refs.slice(this.#told, this.#told + sliceLength);
    this.#told += slice.length;
    for (const ref of slice) this.#emit({ type: "task-queued", at: this.#now(), ...ref });
  }
}
