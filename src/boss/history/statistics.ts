// What the history says of a pipeline: how its tasks did in the last runs, and what they usually take.

import { type TaskRef, taskKey } from "../../model/pipeline.js";
import type { ResultState, StageResults } from "../../model/results.js";
import type { RunSummary } from "../../model/run-summary.js";
import type { HistoryView, TaskHistory, UsualView } from "../../wire/boss.js";
import type { UsualMs } from "../run/task-order.js";
import type { Store } from "../store/store.js";

/** The usual is the median of so many runs: a change of the tests shows soon, one slow run does not. */
const usualRuns = 15;
const orderRuns = 3;
const maxOrderCells = 30_000;
/** Runs times tasks in one answer, and in memory. */
const maxCells = 300_000;

const letters: Record<ResultState, string> = {
  passed: "p",
  flaky: "k",
  failed: "f",
  errored: "e",
  cancelled: "c",
  skipped: "s",
  waiting: "-",
  queued: "-",
  running: "-",
};

export class Statistics {
  readonly #store: Store;
  /** Of runs that have ended: what is here is never outdated. The oldest asked for goes first. */
  readonly #results = new Map<number, readonly StageResults[]>();

  constructor(store: Store) {
    this.#store = store;
  }

  history(pipeline: string, { limit, before }: { limit: number; before?: number }): HistoryView {
    const runs = this.#endedRuns(pipeline, limit, before);
    const tasks = new Map<string, { ref: TaskRef; states: string[]; ms: (number | null)[] }>();
    const shown: RunSummary[] = [];
    let cells = 0;
    for (const run of runs) {
      const results = this.#resultsOf(run.id);
      const count = results.reduce((sum, { tasks }) => sum + tasks.length, 0);
      if (shown.length > 0 && cells + count > maxCells) break;
      cells += count;
      for (const [{ stage, task }, state, ms] of each(results)) {
        const key = taskKey({ stage, task });
        let row = tasks.get(key);
        if (!row) {
          row = { ref: { stage, task }, states: [], ms: [] };
          tasks.set(key, row);
        }
        row.states[shown.length] = letters[state];
        row.ms[shown.length] = ms;
      }
      shown.push(run);
    }
    // Found newest first, shown as time goes.
    return {
      pipeline,
      runs: shown.reverse(),
      tasks: [...tasks.values()].map(({ ref, states, ms }): TaskHistory => {
        const places = shown.map((_, index) => shown.length - 1 - index);
        return {
          ...ref,
          states: places.map((place) => states[place] ?? "-").join(""),
          ms: places.map((place) => ms[place] ?? null),
        };
      }),
    };
  }

  usual(pipeline: string): UsualView {
    const durations = new Map<string, { ref: TaskRef; ms: number[] }>();
    const whole: number[] = [];
    let cells = 0;
    for (const run of this.#endedRuns(pipeline, usualRuns)) {
      if (run.status === "passed" && run.startedAt !== null && run.finishedAt !== null)
        whole.push(run.finishedAt - run.startedAt);
      for (const [ref, state, ms] of each(this.#resultsOf(run.id))) {
        cells += 1;
        if (ms === null || (state !== "passed" && state !== "flaky")) continue;
        const known = durations.get(taskKey(ref));
        if (known) known.ms.push(ms);
        else durations.set(taskKey(ref), { ref, ms: [ms] });
      }
      if (cells > maxCells) break;
    }
    return {
      pipeline,
      runMs: whole.length > 0 ? median(whole) : null,
      tasks: [...durations.values()].map(({ ref, ms }) => ({ ...ref, ms: median(ms) })),
    };
  }

  /** What a task took lately, for the order in which they start: fewer runs do, since it is asked for at each start. */
  usualMs(pipeline: string): UsualMs {
    const durations = new Map<string, number[]>();
    let cells = 0;
    for (const run of this.#endedRuns(pipeline, orderRuns)) {
      for (const [ref, state, ms] of each(this.#resultsOf(run.id))) {
        cells += 1;
        if (ms === null || (state !== "passed" && state !== "flaky")) continue;
        const key = taskKey(ref);
        const known = durations.get(key);
        if (known) known.push(ms);
        else durations.set(key, [ms]);
      }
      if (cells > maxOrderCells) break;
    }
    return (stage, task) => {
      const ms = durations.get(taskKey({ stage, task }));
      return ms && median(ms);
    };
  }

  /** Newest first. */
  #endedRuns(pipeline: string, limit: number, before?: number): RunSummary[] {
    const query = { pipeline, limit: limit + 20, ...(before !== undefined && { before }) };
    return this.#store
      .runs(query)
      .filter(({ finishedAt }) => finishedAt !== null)
      .slice(0, limit);
  }

  #resultsOf(id: number): readonly StageResults[] {
    const known = this.#results.get(id) ?? this.#store.results(id);
    this.#results.delete(id);
    this.#results.set(id, known);
    let cells = 0;
    for (const [run, results] of [...this.#results].reverse()) {
      cells += results.reduce((sum, { tasks }) => sum + tasks.length, 0);
      if (cells > maxCells && run !== id) this.#results.delete(run);
    }
    return known;
  }
}

function* each(results: readonly StageResults[]): Generator<[TaskRef, ResultState, number | null]> {
  for (const { stage, tasks } of results) {
    for (const [task, state, ms] of tasks) yield [{ stage, task }, state, ms];
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
