// Why a task is not green, in one line.

import { describeFailure, type TaskEnd } from "../model/failure.js";
import { attemptNote, filesOf, type TaskState } from "../model/run.js";
import { count, oneLine } from "./text.js";

export function reasonOf(task: TaskState): string {
  if (task.skippedBecause !== null) return oneLine(task.skippedBecause);
  const end = task.attempts.at(-1)?.end;
  const reason = end ? reasonOfEnd(end) : "";
  const [left, ...more] = filesOf(task).flatMap(({ notes }) => notes);
  const others = more.length > 0 ? [`${count(more.length, "more note")}`] : [];
  const notes = [attemptNote(task), left && oneLine(left), ...others].filter(Boolean).join(", ");
  if (notes === "") return reason;
  return reason === "" ? notes : `${reason} (${notes})`;
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
