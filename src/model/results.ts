// What remains of a run when one looks at many: how each of its tasks ended, and how long that took.

import { isFlaky, type Run, type TaskStatus } from "./run.js";

export interface StageResults {
  readonly stage: string;
  readonly tasks: readonly TaskResult[];
}

/** A tuple, since there may be ten thousand of them a run. Milliseconds of the last attempt; null without one. */
export type TaskResult = readonly [task: string, state: ResultState, ms: number | null];

/** "flaky": passed, and was red before. */
export type ResultState = TaskStatus | "flaky";

export function resultsOf(run: Run): StageResults[] {
  return run.stages.map(({ name, tasks }) => ({
    stage: name,
    tasks: tasks.map((task): TaskResult => {
      const { startedAt, finishedAt } = task.attempts.at(-1) ?? {};
      const ms = startedAt != null && finishedAt != null ? finishedAt - startedAt : null;
      return [task.name, isFlaky(task) ? "flaky" : task.status, ms];
    }),
  }));
}
