// Counting tasks by state, for stages and runs of any size.

import type { Run, StageState, TaskStatus } from "../model/run.js";
import { grouped } from "./text.js";

export type Tally = Readonly<Record<TaskStatus, number>>;

export const noTasks: Tally = {
  waiting: 0,
  queued: 0,
  running: 0,
  passed: 0,
  failed: 0,
  errored: 0,
  cancelled: 0,
  skipped: 0,
};

// A stage that did not change is the same object, so a frame counts only what moved.
const known = new WeakMap<StageState, Tally>();

export function tallyStage(stage: StageState): Tally {
  let tally = known.get(stage);
  if (!tally) {
    const counts = { ...noTasks };
    for (const task of stage.tasks) counts[task.status]++;
    tally = counts;
    known.set(stage, tally);
  }
  return tally;
}

export function tallyRun(run: Run): Tally {
  const counts = { ...noTasks };
  for (const stage of run.stages) {
    const tally = tallyStage(stage);
    for (const status of statuses) counts[status] += tally[status];
  }
  return counts;
}

export const statuses = [
  "failed",
  "errored",
  "cancelled",
  "passed",
  "skipped",
  "running",
  "queued",
  "waiting",
] as const satisfies readonly TaskStatus[];

export function total(tally: Tally): number {
  return statuses.reduce((sum, status) => sum + tally[status], 0);
}

export function ended(tally: Tally): number {
  return tally.passed + tally.failed + tally.errored + tally.cancelled + tally.skipped;
}

/** "1 failed · 3 passed": what there is, the worst first. */
export function describeTally(tally: Tally, which: readonly TaskStatus[] = statuses): string {
  return which
    .filter((status) => tally[status] > 0)
    .map((status) => `${grouped(tally[status])} ${status}`)
    .join(" · ");
}
