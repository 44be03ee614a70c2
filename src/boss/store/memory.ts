import type { LoggedEvent, RunEvent } from "../../model/events.js";
import { GrowingRun } from "../../model/growing-run.js";
import { resultsOf } from "../../model/results.js";
import { newRun } from "../../model/run.js";
import { type RunSummary, summarizeRun } from "../../model/run-summary.js";
import type { Store } from "./store.js";

interface StoredRun {
  readonly run: GrowingRun;
  readonly events: LoggedEvent[];
}

export function createMemoryStore(): Store {
  // Its place is an event's number; what was removed leaves a gap.
  const all: (LoggedEvent | null)[] = [];
  const runs = new Map<number, StoredRun>();
  let lastRunId = 0;

  function append(id: number, event: RunEvent): LoggedEvent {
    const logged: LoggedEvent = { seq: all.length + 1, run: id, event };
    const stored = runs.get(id);
    if (stored) {
      stored.run.apply(event);
      stored.events.push(logged);
    } else if (event.type === "run-created") {
      runs.set(id, { run: new GrowingRun(newRun(id, event)), events: [logged] });
    } else {
      throw new Error(`run ${id} does not exist: its first event must be run-created`);
    }
    all.push(logged);
    return logged;
  }

  return {
    nextRunId: () => ++lastRunId,
    append,

    add(id, events) {
      for (const event of events) append(id, event);
    },

    events({ run, after, limit }) {
      // Sequence numbers of the whole log are array positions; those of one run only grow.
      if (run === undefined) {
        const found: LoggedEvent[] = [];
        for (let index = after; index < all.length && found.length < limit; index++) {
          const logged = all[index];
          if (logged) found.push(logged);
        }
        return found;
      }
      const events = runs.get(run)?.events ?? [];
      const start = firstAfter(events, after);
      return events.slice(start, start + limit);
    },

    lastSeq: () => all.length,
    storedSeq: () => all.length,

    unfinished: () => [...runs].filter(([, { run }]) => !run.hasEnded).map(([id]) => id),

    run: (id) => runs.get(id)?.run.now(),
    shown: (id) => runs.get(id)?.run.now(),
    hasEnded: (id) => runs.get(id)?.run.hasEnded ?? false,

    results(id) {
      const run = runs.get(id)?.run.now();
      return run ? resultsOf(run) : [];
    },

    runs({ before = Number.POSITIVE_INFINITY, limit, pipeline }) {
      const found: RunSummary[] = [];
      for (let id = Math.min(lastRunId, before - 1); id >= 1 && found.length < limit; id--) {
        const run = runs.get(id)?.run.now();
        if (run && (pipeline === undefined || run.request.pipelineName === pipeline)) {
          found.push(summarizeRun(run));
        }
      }
      return found;
    },

    ended: () =>
      [...runs.values()].flatMap(({ run }) => {
        if (!run.hasEnded) return [];
        const { id, finishedAt, pinned = false } = run.now();
        return finishedAt === null ? [] : [{ id, finishedAt, pinned }];
      }),

    isGone: (id) => id <= lastRunId && !runs.has(id),

    remove(id) {
      const stored = runs.get(id);
      if (!stored?.run.hasEnded) return;
      for (const { seq } of stored.events) all[seq - 1] = null;
      runs.delete(id);
    },

    unwritable: () => null,
    retry() {},
    close() {},
  };
}

function firstAfter(events: readonly LoggedEvent[], seq: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (events[middle]!.seq <= seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
