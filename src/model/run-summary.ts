import type { RunSource } from "./events.js";
import { describeFault } from "./failure.js";
import type { Run, RunStatus, TaskStatus } from "./run.js";

/** What a list of runs shows of each. */
export interface RunSummary {
  readonly id: number;
  readonly pipeline: string;
  readonly status: RunStatus;
  readonly trigger: string;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly tasks: Readonly<Partial<Record<TaskStatus, number>>>;
  readonly fault: string | null;
  /** Absent: not pinned. */
  readonly pinned?: boolean;
  /** The code that it tested, where that is known. */
  readonly sources?: readonly RunSource[];
}

export function summarizeRun(run: Run): RunSummary {
  const tasks: Partial<Record<TaskStatus, number>> = {};
  for (const stage of run.stages) {
    for (const task of stage.tasks) tasks[task.status] = (tasks[task.status] ?? 0) + 1;
  }
  return {
    id: run.id,
    pipeline: run.request.pipelineName,
    status: run.status,
    trigger: run.request.trigger,
    createdAt: run.request.at,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
    tasks,
    fault: run.fault && describeFault(run.fault),
    ...(run.pinned && { pinned: true }),
    ...(run.sources && { sources: run.sources }),
  };
}
