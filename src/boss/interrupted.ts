// Runs that were under way when the boss was killed. Nobody knows how they would have ended, so nothing is
// said of it: they are errored, and what did end keeps its verdict.

import type { Fault } from "../model/failure.js";
import { eachTask, type Run, verdictOf } from "../model/run.js";
import type { EventLog } from "./event-log.js";
import type { Store } from "./store/store.js";

/** To be called before any run starts. Returns the runs it has ended. */
export function endInterrupted(store: Store, log: EventLog, now: number): number[] {
  const ids = store.unfinished();
  for (const id of ids) endRun(store.run(id)!, log, now);
  return ids;
}

function endRun(run: Run, log: EventLog, at: number): void {
  const fault: Fault = {
    message: "the boss was killed in the middle of this run",
    hint: `Run it again: bettertest rerun ${run.id}`,
  };
  let interrupted = run.pipeline === null;
  for (const { ref, task } of eachTask(run)) {
    if (task.status === "running") {
      interrupted = true;
      const attempt = task.attempts.length;
      log.append(run.id, {
        type: "attempt-finished",
        at,
        ...ref,
        attempt,
        end: { status: "errored", fault },
      });
    } else if (task.status === "waiting" || task.status === "queued") {
      interrupted = true;
      log.append(run.id, { type: "task-skipped", at, ...ref, reason: fault.message });
    }
  }
  for (const stage of run.stages) {
    if (stage.status === "running") {
      log.append(run.id, { type: "stage-finished", at, stage: stage.name });
    }
  }
  // Only its last word was missing: all its tasks had ended.
  if (!interrupted) {
    const verdict = verdictOf([...eachTask(run)].map(({ task }) => task.status));
    log.append(run.id, { type: "run-finished", at, verdict });
    return;
  }
  const verdict = run.cancelledBy === null ? "errored" : "cancelled";
  log.append(run.id, { type: "run-finished", at, verdict, fault });
}
