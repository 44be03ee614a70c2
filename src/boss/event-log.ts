// One log, many readers. An event is stored before anybody hears of it, and readers pull from the store
// by their own cursor: nothing is queued for a slow one, and none can miss or repeat an event.

import { Bell } from "../lib/bell.js";
import type { LoggedEvent, RunEvent } from "../model/events.js";
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

  constructor(store: Store) {
    this.#store = store;
  }

  append(run: number, event: RunEvent): LoggedEvent {
    const logged = this.#store.append(run, event);
    this.#ring(run);
    this.#ring("all");
    return logged;
  }

  /** See Store.add. */
  add(run: number, events: readonly RunEvent[]): void {
    this.#store.add(run, events);
    this.#ring(run);
    this.#ring("all");
  }

  /** What is there now, then what comes. Ends with the signal; for one run also after its last event. */
  async *follow({ run, after, signal }: Follow): AsyncGenerator<LoggedEvent> {
    let cursor = after;
    while (!signal.aborted) {
      const batch = this.#store.events({
        ...(run !== undefined && { run }),
        after: cursor,
        limit: batchSize,
      });
      for (const logged of batch) {
        yield logged;
        cursor = logged.seq;
        if (run !== undefined && logged.event.type === "run-finished") return;
      }
      if (batch.length === 0) {
        if (run !== undefined && this.#store.hasEnded(run)) return;
        await this.#bell(run ?? "all").heard(signal);
      }
    }
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
