// What is different between two runs.

import { type TaskRef, taskKey } from "../../src/model/pipeline.js";
import { eachTask, type Run, type TaskState } from "../../src/model/run.js";

export interface TaskChange {
  readonly ref: TaskRef;
  /** Null: it was not in that run. */
  readonly before: TaskState | null;
  readonly after: TaskState | null;
  readonly beforeMs: number | null;
  readonly afterMs: number | null;
}

export interface Comparison {
  readonly wentRed: readonly TaskChange[];
  readonly stillRed: readonly TaskChange[];
  /** Passed, and did not before. */
  readonly wentGreen: readonly TaskChange[];
  /** Cancelled, skipped or not at its end yet, and was something else before. */
  readonly noResult: readonly TaskChange[];
  /** Passed in both, and took much longer; the worst first. */
  readonly slower: readonly TaskChange[];
  readonly faster: readonly TaskChange[];
  readonly added: readonly TaskChange[];
  readonly gone: readonly TaskChange[];
  readonly same: number;
}

/** Less is noise: a third, and at least so long. */
const muchRatio = 1.33;
const muchMs = 100;

export function compareRuns(before: Run, after: Run): Comparison {
  const old = new Map([...eachTask(before)].map(({ ref, task }) => [taskKey(ref), { ref, task }]));
  const lists = {
    wentRed: [] as TaskChange[],
    stillRed: [] as TaskChange[],
    wentGreen: [] as TaskChange[],
    noResult: [] as TaskChange[],
    slower: [] as TaskChange[],
    faster: [] as TaskChange[],
    added: [] as TaskChange[],
    gone: [] as TaskChange[],
  };
  let same = 0;
  for (const { ref, task } of eachTask(after)) {
    const known = old.get(taskKey(ref));
    old.delete(taskKey(ref));
    const change = changeOf(ref, known?.task ?? null, task);
    const kind = kindOf(change, task);
    if (kind === null) same += 1;
    else lists[kind].push(change);
  }
  for (const { ref, task } of old.values()) lists.gone.push(changeOf(ref, task, null));
  const growth = ({ beforeMs, afterMs }: TaskChange) => (afterMs ?? 0) - (beforeMs ?? 0);
  lists.slower.sort((a, b) => growth(b) - growth(a));
  lists.faster.sort((a, b) => growth(a) - growth(b));
  return { ...lists, same };
}

function changeOf(ref: TaskRef, before: TaskState | null, after: TaskState | null): TaskChange {
  return { ref, before, after, beforeMs: durationOf(before), afterMs: durationOf(after) };
}

function kindOf({ before, beforeMs, afterMs }: TaskChange, after: TaskState) {
  if (isRed(after)) return isRed(before) ? "stillRed" : "wentRed";
  if (before === null) return "added";
  if (after.status !== before.status) return after.status === "passed" ? "wentGreen" : "noResult";
  if (after.status !== "passed") return null;
  if (beforeMs === null || afterMs === null || Math.abs(afterMs - beforeMs) < muchMs) return null;
  if (afterMs > beforeMs * muchRatio) return "slower";
  return beforeMs > afterMs * muchRatio ? "faster" : null;
}

function isRed(task: TaskState | null): boolean {
  return task?.status === "failed" || task?.status === "errored";
}

function durationOf(task: TaskState | null): number | null {
  const { startedAt, finishedAt } = task?.attempts.at(-1) ?? {};
  return startedAt != null && finishedAt != null ? finishedAt - startedAt : null;
}
