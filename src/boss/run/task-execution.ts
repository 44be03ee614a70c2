// One task of a run: its attempts. One that a boss was killed in the middle of is brought back to where it was.

import type { PipedefHost } from "../../../runtime/host/host.js";
import type { StoredOutput } from "../../model/events.js";
import {
  type Pipeline,
  type StageDefinition,
  type TaskRef,
  taskPosition,
} from "../../model/pipeline.js";
import type { PrintedOutput } from "../output/attempt-output.js";
import type { OutputRef } from "../output/outputs.js";
import type { Workers } from "../workers.js";
import { executeAttempt } from "./attempt-execution.js";
import { noPast, type TaskPast } from "./attempt-log.js";
import type { CallDependencies } from "./call-execution.js";
import type { RunExpectations } from "./expectations.js";

/** Nothing was started, so these cost little; but somebody who says no for ever must not be asked for ever. */
const mostRefusals = 20;

export interface TaskDependencies extends CallDependencies {
  readonly workers: Pick<Workers, "execute" | "resume" | "mayReturn" | "returned">;
  readonly expectations: RunExpectations;
  /** How often a task is tried again whose worker was lost. */
  readonly infraRetries: number;
  readonly outputs: TaskOutputs;
  /** Why no attempt that was under way can go on. */
  readonly hurdle?: string;
  readonly stop: Stop;
}

/** Where what attempts print is kept. */
export interface TaskOutputs {
  open(ref: OutputRef, options: { readonly reopen: boolean }): PrintedOutput;
  close(ref: OutputRef): Promise<StoredOutput>;
  path(ref: OutputRef): string;
  readonly services: CallDependencies["outputs"]["services"];
}

/** How a boss stops that leaves its runs to the next one. */
export interface Stop {
  /** Nothing new starts. */
  readonly begun: AbortSignal;
  /** What still runs is ended, and handed back. */
  readonly over: AbortSignal;
}

/** What the tasks of a run have in common. */
export interface TaskContext<Dependencies extends TaskDependencies = TaskDependencies> {
  readonly host: PipedefHost;
  readonly id: number;
  readonly pipeline: Pipeline;
  /** The run is cancelled. */
  readonly signal: AbortSignal;
  /** No further task can start: cancelled, handed back, or the host is gone. */
  readonly gone: AbortSignal;
  /** What runs is to end: cancelled, or handed back. One for all attempts, since each costs more than an attempt does. */
  readonly leaving: AbortSignal;
  readonly deps: Dependencies;
}

const none: ReadonlySet<string> = new Set();

/** Attempt after attempt, until one says how the task ended, or the boss stops. */
export async function executeTask(
  ref: TaskRef,
  stage: StageDefinition,
  context: TaskContext,
  past: TaskPast = noPast,
): Promise<void> {
  const { signal, gone, deps } = context;
  const place = taskPosition(context.pipeline, ref);
  const retries = (place && stage.tasks[place[1]]?.retries) ?? 0;
  let avoid = none;
  let { redTries, lostTries, refusals, open } = past;
  for (let attempt = open ? past.attempts : past.attempts + 1; ; attempt++) {
    const { end, output, lost, byBoss } = await executeAttempt(
      { stage: ref.stage, task: ref.task, attempt },
      avoid,
      context,
      open,
    );
    open = null;
    // A red test is red: trying it again is its author's choice. That of a lost worker says nothing.
    const isRedAgain = end.status === "failed" && redTries < retries;
    const isLostAgain =
      end.status === "errored" &&
      end.fault.origin !== "pipedef" &&
      lost !== null &&
      (lost.refused ? refusals < mostRefusals : lostTries < deps.infraRetries) &&
      deps.infraRetries > 0 &&
      deps.workers.mayReturn(lost);
    const mayGoOn = !gone.aborted || deps.stop.over.aborted;
    const retried = (isRedAgain || isLostAgain || byBoss) && !signal.aborted && mayGoOn;
    deps.emit({
      type: "attempt-finished",
      at: deps.now(),
      stage: ref.stage,
      task: ref.task,
      attempt,
      end,
      ...(retried && { retried }),
      ...(byBoss && { byBoss }),
      ...(output && { output }),
    });
    if (!retried) return;
    if (!byBoss) {
      if (isRedAgain) redTries += 1;
      else if (lost) {
        if (lost.refused) refusals += 1;
        else lostTries += 1;
        avoid = new Set([...avoid, lost.url]);
        await deps.workers.returned(lost, lostTries + refusals, gone);
      }
    }
    // It stays queued, and the next boss goes on.
    if (deps.stop.begun.aborted) return;
    if (gone.aborted) {
      const reason = signal.aborted ? "the run was cancelled" : "the pipedef's host is gone";
      deps.emit({ type: "task-skipped", at: deps.now(), ...ref, reason });
      return;
    }
  }
}
