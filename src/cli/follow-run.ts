// Folds a run's events and shows them; the same for a run of this process and for one of a boss.

import type { LoggedEvent } from "../model/events.js";
import { exitCodeOf, exitCodes } from "../model/exit-code.js";
import { applyEvent, newRun, type Run } from "../model/run.js";
import type { RunView } from "../terminal/run-view.js";
import type { PipelineView } from "../wire/boss.js";

/** Null where the events ended before the run did. */
export async function followRun(
  events: AsyncIterable<LoggedEvent>,
  view: RunView,
): Promise<Run | null> {
  let run: Run | null = null;
  try {
    for await (const logged of events) {
      const { event } = logged;
      if (event.type === "run-created") run = newRun(logged.run, event);
      else if (run) run = applyEvent(run, event);
      if (run) view.event(logged, run);
    }
    if (!run || run.finishedAt === null) return null;
    await view.finish(run);
    return run;
  } finally {
    // After a finish there is nothing left to do for it.
    view.abandon();
  }
}

export function exitCodeOfProblem({ problemOrigin }: Pick<PipelineView, "problemOrigin">): number {
  return problemOrigin === "pipedef" ? exitCodes.usage : exitCodes.errored;
}

/** A run that its pipedef made impossible is its author's to mend, like a wrong flag. */
export function exitCodeOfRun(run: Run): number {
  if (run.status === "queued" || run.status === "running") return exitCodes.errored;
  if (run.status === "errored" && run.fault?.origin === "pipedef") return exitCodes.usage;
  return exitCodeOf(run.status);
}
