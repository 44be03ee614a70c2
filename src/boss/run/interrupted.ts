// Ends a run that was under way when the boss was killed, and cannot or shall not go on. Nobody knows how its
// tasks would have ended, so nothing is said of it; what did end keeps its verdict.

import type { RunEvent } from "../../model/events.js";
import type { Fault, RunVerdict, TaskEnd } from "../../model/failure.js";
import { eachTask, type Run, verdictOf } from "../../model/run.js";

export function interruptedFault(run: number, why?: string): Fault {
  return {
    message: `the boss was killed in the middle of this run${why === undefined ? "" : `, and it cannot go on: ${why}`}`,
    hint: `Run it again: bettertest rerun ${run}`,
  };
}

/** The events that end all of it but the run itself, and how that is to end then. */
export function endInterrupted(
  run: Run,
  at: number,
  /** "cancelled": somebody has asked for that. */
  because: Fault | "cancelled",
): { readonly events: RunEvent[]; readonly verdict: RunVerdict; readonly fault?: Fault } {
  const events: RunEvent[] = [];
  let interrupted = run.pipeline === null;
  const end: TaskEnd =
    because === "cancelled" ? { status: "cancelled" } : { status: "errored", fault: because };
  const reason = because === "cancelled" ? "the run was cancelled" : because.message;
  for (const { ref, task } of eachTask(run)) {
    if (task.status === "running") {
      interrupted = true;
      const attempt = task.attempts.length;
      events.push({ type: "attempt-finished", at, ...ref, attempt, end });
    } else if (task.status === "waiting" || task.status === "queued") {
      interrupted = true;
      events.push({ type: "task-skipped", at, ...ref, reason });
    }
  }
  for (const stage of run.stages) {
    if (stage.status === "running") events.push({ type: "stage-finished", at, stage: stage.name });
  }
  // Only its last word was missing: all its tasks had ended.
  if (!interrupted) {
    return { events, verdict: verdictOf([...eachTask(run)].map(({ task }) => task.status)) };
  }
  if (because === "cancelled") return { events, verdict: "cancelled" };
  return { events, verdict: "errored", fault: because };
}
