// One log, many readers. An event is stored before anybody hears of it, and readers pull from the store
// by their own cursor: nothing is queued for a slow one, and none can miss or repeat an event.

import { Bell } from "../lib/bell.js";
import type { LoggedEvent, RunEvent } from "../model/events.js";
import { RecentEvents } from "./recent-events.js";
import type { Store } from "./store/store.js";

/** Held for each reader, also for one that has stopped reading. */
const batchSize = 50;

export interface Follow {
  /** Absent: the events of all runs. */
  readonly run?: number;
  readonly after: number;
  readonly signal: AbortSignal;
}

export class EventLog {
  readonly #store: Store;
  readonly #bells = new Map<number | "all", Bell>();
  readonly #recent = new RecentEvents();

  constructor(store: Store) {
    this.#store = store;
  }

  append(run: number, event: RunEvent): LoggedEvent {
    const wasHeld = this.#isHeld;
    const logged = this.#store.append(run, event);
    this.#recent.add(logged);
    if (wasHeld) this.#ringAll();
    else {
      this.#ring(run);
      this.#ring("all");
    }
    return logged;
  }

  /** Where events could not be stored: tries again. Their readers have waited for it. */
  retry(): void {
    this.#store.retry();
    this.#ringAll();
  }

  /** See Store.add. */
  add(run: number, events: readonly RunEvent[]): void {
    this.#store.add(run, events);
    this.#recent.clear();
    this.#ring(run);
    this.#ring("all");
  }

  /** What is there now, then what comes. Ends with the signal; for one run also after its last event. */
  async *follow(follow: Follow): AsyncGenerator<LoggedEvent> {
    for await (const batch of this.followBatches(follow)) yield* batch;
  }

  /** The same, several at a time where there are: one write to a reader costs less than one for each. */
  async *followBatches({ run, after, signal }: Follow): AsyncGenerator<readonly LoggedEvent[]> {
    let cursor = after;
    while (!signal.aborted) {
      const until = this.#store.storedSeq();
      const batch = this.#after(cursor, run, until);
      if (batch.length > 0) {
        const end =
          run === undefined ? -1 : batch.findIndex(({ event }) => event.type === "run-finished");
        yield end < 0 ? batch : batch.slice(0, end + 1);
        if (end >= 0) return;
        cursor = batch.at(-1)!.seq;
        continue;
      }
      if (run !== undefined && !this.#isHeld && this.#store.hasEnded(run)) return;
      // Those of other runs need not be looked through again.
      cursor = Math.max(cursor, until);
      await this.#bell(run ?? "all").heard(signal);
      // What happens in the same turn comes along.
      await new Promise(setImmediate);
    }
  }

  #after(cursor: number, run: number | undefined, until: number): readonly LoggedEvent[] {
    const batch =
      this.#recent.after(cursor, run)?.slice(0, batchSize) ??
      this.#store.events({ ...(run !== undefined && { run }), after: cursor, limit: batchSize });
    return this.#isHeld ? batch.filter(({ seq }) => seq <= until) : batch;
  }

  /** Not all of it is stored: nobody may be told of what a kill could take back. */
  get #isHeld(): boolean {
    return this.#store.storedSeq() < this.#store.lastSeq();
  }

  #ringAll() {
    for (const topic of [...this.#bells.keys()]) this.#ring(topic);
  }

  #bell(topic: number | "all"): Bell {
    const found = this.#bells.get(topic) ?? new Bell();
    this.#bells.set(topic, found);
    return found;
  }

  #ring(topic: number | "all") {
    const bell = this.#bells.get(topic);
    // Whoever still listens hangs up a new one; so finished runs leave nothing here.
    this.#bells.delete(topic);
    bell?.ring();
  }
}
