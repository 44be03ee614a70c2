import type { RunEvent } from "./events.js";
import { applyOwned, isFinished, type OwnLists, type Run } from "./run.js";

/**
 * A run that events are added to one by one. What it has shown to somebody it copies before it changes it; as
 * long as nobody looks, an event costs the same however many tasks there are.
 */
export class GrowingRun {
  #run: Run;
  #own: OwnLists = new Map();

  constructor(run: Run) {
    this.#run = run;
  }

  get hasEnded(): boolean {
    return isFinished(this.#run);
  }

  /** As it is now; later events do not change it. */
  now(): Run {
    if (this.#own.size > 0) this.#own = new Map();
    return this.#run;
  }

  apply(event: RunEvent): void {
    this.#run = applyOwned(this.#run, event, this.#own);
  }
}
