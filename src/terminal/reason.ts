// Why a task is not green, in one line.

import { describeFailure, type TaskEnd } from "../model/failure.js";
import { attemptNote, type TaskState } from "../model/run.js";
import { oneLine } from "./text.js";

export function reasonOf(task: TaskState): string {
  if (task.skippedBecause !== null) return oneLine(task.skippedBecause);
  const end = task.attempts.at(-1)?.end;
  const reason = end ? reasonOfEnd(end) : "";
  const note = attemptNote(task);
  if (note === null) return reason;
  return reason === "" ? note : `${reason} (${note})`;
}

export function reasonOfEnd(end: TaskEnd): string {
  switch (end.status) {
    case "passed":
    case "cancelled":
      return "";
    case "failed":
      return oneLine(describeFailure(end.failure).split("\n", 1)[0] ?? "");
    case "errored":
      return oneLine(end.fault.message);
    default:
      return end satisfies never;
  }
}

/** What to try, where the machinery knows. */
export function hintOf(task: TaskState): string | null {
  const end = task.attempts.at(-1)?.end;
  return end?.status === "errored" && end.fault.hint ? oneLine(end.fault.hint) : null;
}
