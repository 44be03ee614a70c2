// What is kept of the past, and for how long. The oldest goes first, and never a run that is under
// way or pinned.

import { formatBytes } from "../../lib/units.js";
import type { Outputs } from "../output/outputs.js";
import type { Store } from "../store/store.js";

export interface RetentionLimits {
  readonly keepRuns: number;
  readonly keepDays: number;
  /** Of all outputs together. */
  readonly maxDataBytes: number;
}

export interface RetentionDeps {
  readonly store: Store;
  readonly outputs: Outputs;
  readonly limits: RetentionLimits;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

const dayMs = 24 * 60 * 60 * 1000;

export class Retention {
  readonly #deps: RetentionDeps;
  /** Bytes of output of each ended run that was looked at. */
  readonly #bytes = new Map<number, number>();
  #working: Promise<void> = Promise.resolve();

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
  }

  /** To be called when a run has ended. One sweep at a time; resolves when this one is done. */
  sweep(): Promise<void> {
    this.#working = this.#working
      .then(() => this.#sweep())
      .catch((error: unknown) => this.#deps.log(`old runs could not be deleted: ${error}`));
    return this.#working;
  }

  /** Waits for a sweep under way. */
  idle(): Promise<void> {
    return this.#working;
  }

  async #sweep(): Promise<void> {
    const { store, outputs, limits, now, log } = this.#deps;
    const ended = store.ended();
    // What is pinned takes room, but not the place of another run.
    const needed = neededBy(store);
    const deletable = ended.filter(({ id, pinned }) => !pinned && !needed.has(id));
    let count = deletable.length;
    let bytes = 0;
    for (const { id } of ended) {
      const size = this.#bytes.get(id) ?? (await outputs.bytesOf(id));
      this.#bytes.set(id, size);
      bytes += size;
    }
    const oldestKept = now() - limits.keepDays * dayMs;
    const deleted: number[] = [];
    let freed = 0;
    for (const { id, finishedAt } of deletable) {
      // The newest one stays, however large or old: it is what people have come to see.
      if (count <= 1) break;
      if (count <= limits.keepRuns && finishedAt >= oldestKept && bytes <= limits.maxDataBytes)
        break;
      store.remove(id);
      await outputs.remove(id);
      const size = this.#bytes.get(id) ?? 0;
      this.#bytes.delete(id);
      count -= 1;
      bytes -= size;
      freed += size;
      deleted.push(id);
    }
    if (deleted.length > 0) {
      const which =
        deleted.length === 1 ? `run ${deleted[0]}` : `runs ${deleted[0]} to ${deleted.at(-1)}`;
      log(
        `deleted ${which} (${formatBytes(freed)}): more than is kept, see --keep-runs, --keep-days, --max-data`,
      );
    }
  }
}

/** What runs under way run again: they may have the files of those as their source. */
function neededBy(store: Pick<Store, "unfinished" | "run">): Set<number> {
  const found = new Set<number>();
  for (const id of store.unfinished()) {
    let again = store.run(id)?.request.again;
    while (again && !found.has(again.run)) {
      found.add(again.run);
      again = store.run(again.run)?.request.again;
    }
  }
  return found;
}
