// The rows of a run's list: stages with their tasks, filtered, the red ones first.

import type { TaskRef } from "../../src/model/pipeline.js";
import { isFlaky, type Run, type StageState, type TaskState } from "../../src/model/run.js";
import type { RunPageState } from "../run-page.js";

export type Row =
  | { readonly kind: "stage"; readonly stage: StageState; readonly number: number }
  | { readonly kind: "task"; readonly ref: TaskRef; readonly task: TaskState };

/** Stages whose every task is filtered out do not appear. */
export function rowsOf(run: Run, { text, statuses, redFirst }: RunPageState): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const isWanted = (stage: string, task: TaskState) => {
    if (statuses.length > 0 && !statuses.includes(task.status)) return false;
    if (words.length === 0) return true;
    const hay = `${stage}.${task.name}${isFlaky(task) ? " flaky" : ""}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  };
  const rows: Row[] = [];
  run.stages.forEach((stage, index) => {
    const wanted = stage.tasks.filter((task) => isWanted(stage.name, task));
    if (wanted.length === 0 && (words.length > 0 || statuses.length > 0)) return;
    rows.push({ kind: "stage", stage, number: index + 1 });
    const ordered = redFirst ? [...wanted.filter(isRed), ...wanted.filter(isNotRed)] : wanted;
    for (const task of ordered)
      rows.push({ kind: "task", ref: { stage: stage.name, task: task.name }, task });
  });
  return rows;
}

export function isRed({ status }: TaskState): boolean {
  return status === "failed" || status === "errored";
}

const isNotRed = (task: TaskState) => !isRed(task);
