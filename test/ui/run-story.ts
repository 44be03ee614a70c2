// Runs as the boss tells them, for tests of what the page makes of them.

import type { TaskEnd } from "../../src/model/failure.js";
import { applyEvents, newRun, type Run } from "../../src/model/run.js";

export const red: TaskEnd = {
  status: "failed",
  failure: { kind: "exit", command: "false", exitCode: 1 },
};
export const green: TaskEnd = { status: "passed" };

export interface Told {
  readonly stage: string;
  readonly task: string;
  readonly from?: number;
  readonly to?: number;
  readonly end?: TaskEnd;
  readonly worker?: string;
  readonly attempt?: number;
}

/** Nothing is known yet but that it was asked for. */
export const askedFor = (id = 1): Run =>
  newRun(id, {
    type: "run-created",
    at: 0,
    pipelineName: "demo",
    pipedef: "/p.ts",
    keepGoing: false,
    trigger: "test",
  });

/** Stages in the order of their first task. Without `from` a task waits, without `to` it runs. */
export function tellRun(told: readonly Told[], { id = 1, end = 0 } = {}): Run {
  const names = [...new Set(told.map(({ stage }) => stage))];
  const stages = names.map((name) => ({
    name,
    always: false,
    tasks: [...new Set(told.filter(({ stage }) => stage === name).map(({ task }) => task))].map(
      (task) => ({ name: task }),
    ),
  }));
  const events = told.flatMap(({ stage, task, from, to, end, worker = "w", attempt = 1 }) => {
    if (from === undefined) return [];
    const ref = { stage, task, attempt };
    const call = { call: 1, command: "x", image: "any", worker, sandbox: "s" };
    return [
      { type: "attempt-started", at: from, ...ref } as const,
      { type: "call-started", at: from, ...ref, ...call } as const,
      ...(to === undefined
        ? []
        : [{ type: "attempt-finished", at: to, ...ref, end: end ?? green } as const]),
    ];
  });
  return applyEvents(askedFor(id), [
    { type: "run-loaded", at: 0, pipeline: { stages, warnings: [] } },
    ...events,
    ...(end > 0 ? [{ type: "run-finished", at: end, verdict: "passed" } as const] : []),
  ]);
}
