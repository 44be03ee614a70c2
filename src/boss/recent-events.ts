// The last events of all runs. Whoever keeps up takes them from here, instead of having each read and parsed once more
// for every reader.

import type { LoggedEvent } from "../model/events.js";

/** A reader further behind asks the store. */
const most = 512;

export class RecentEvents {
  /** One number after the other. */
  #events: LoggedEvent[] = [];

  /** What has just been stored. */
  add(logged: LoggedEvent): void {
    const last = this.#events.at(-1);
    if (last && last.seq + 1 !== logged.seq) this.clear();
    this.#events.push(logged);
    // Not one by one, since each time all others move.
    if (this.#events.length >= 2 * most) this.#events = this.#events.slice(-most);
  }

  clear(): void {
    this.#events = [];
  }

  /** All after that one, of a run or of all; null: not all of them are here. */
  after(seq: number, run: number | undefined): LoggedEvent[] | null {
    const first = this.#events[0]?.seq;
    if (first === undefined || seq + 1 < first) return null;
    const found = this.#events.slice(seq + 1 - first);
    return run === undefined ? found : found.filter((logged) => logged.run === run);
  }
}
