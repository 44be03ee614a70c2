import type { LoggedEvent, RunEvent } from "../../model/events.js";
import { resultsOf } from "../../model/results.js";
import { applyEvent, isFinished, newRun, type Run } from "../../model/run.js";
import { type RunSummary, summarizeRun } from "../../model/run-summary.js";
import type { Store } from "./store.js";

interface StoredRun {
  run: Run;
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
      stored.run = applyEvent(stored.run, event);
      stored.events.push(logged);
    } else if (event.type === "run-created") {
      runs.set(id, { run: newRun(id, event), events: [logged] });
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

    unfinished: () =>
      [...runs.values()].filter(({ run }) => !isFinished(run)).map(({ run }) => run.id),

    run: (id) => runs.get(id)?.run,

    results(id) {
      const run = runs.get(id)?.run;
      return run ? resultsOf(run) : [];
    },

    runs({ before = Number.POSITIVE_INFINITY, limit, pipeline }) {
      const found: RunSummary[] = [];
      for (let id = Math.min(lastRunId, before - 1); id >= 1 && found.length < limit; id--) {
        const run = runs.get(id)?.run;
        if (run && (pipeline === undefined || run.request.pipelineName === pipeline)) {
          found.push(summarizeRun(run));
        }
      }
      return found;
    },

    ended: () =>
      [...runs.values()].flatMap(({ run }) =>
        run.finishedAt === null
          ? []
          : [{ id: run.id, finishedAt: run.finishedAt, pinned: run.pinned ?? false }],
      ),

    remove(id) {
      const stored = runs.get(id);
      if (!stored || !isFinished(stored.run)) return;
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
