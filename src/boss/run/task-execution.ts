// One task of a run: its attempts. One that a boss was killed in the middle of is brought back to where it was.

import type { PipedefHost, TaskIo } from "../../../runtime/host/host.js";
import { asError } from "../../lib/as-error.js";
import { onAbort } from "../../lib/on-abort.js";
import type { AttemptRef, RunEvent, StoredOutput } from "../../model/events.js";
import type { Fault, TaskEnd } from "../../model/failure.js";
import {
  type Pipeline,
  type StageDefinition,
  type TaskRef,
  taskPosition,
} from "../../model/pipeline.js";
import { ownSource, type PrintedOutput } from "../output/attempt-output.js";
import type { OutputRef } from "../output/outputs.js";
import { maskedOutput } from "../secrets/masked-output.js";
import type { Secrets } from "../secrets/secrets.js";
import type { LostWorker, Workers } from "../workers.js";
import { type AttemptLog, noPast, type TaskPast } from "./attempt-log.js";
import type { RunBuilds } from "./call-builds.js";
import {
  type CallContext,
  executeCall,
  isLost,
  isRefused,
  recallCall,
  resumeCall,
} from "./call-execution.js";
import type { RunExpectations } from "./expectations.js";
import { Replay } from "./replay.js";
import type { RunSources } from "./sources.js";

/** Nothing was started, so these cost little; but somebody who says no for ever must not be asked for ever. */
const mostRefusals = 20;

export interface TaskDependencies {
  readonly emit: (event: RunEvent) => void;
  readonly workers: Pick<Workers, "execute" | "resume" | "mayReturn" | "returned">;
  readonly expectations: RunExpectations;
  /** How often a task is tried again whose worker was lost. */
  readonly infraRetries: number;
  readonly outputs: TaskOutputs;
  readonly sources: RunSources;
  readonly builds: RunBuilds;
  /** Most that is kept of the files that one command has left. */
  readonly maxArtifactBytes: number;
  /** For sandboxes of red commands; undefined: as the worker does by itself. */
  readonly keepFailedMs?: number | undefined;
  readonly secrets: Secrets;
  /** Why no attempt that was under way can go on. */
  readonly hurdle?: string;
  readonly now: () => number;
  readonly stop: Stop;
}

/** Where what attempts print is kept. */
export interface TaskOutputs {
  open(ref: OutputRef, options: { readonly reopen: boolean }): PrintedOutput;
  close(ref: OutputRef): Promise<StoredOutput>;
  path(ref: OutputRef): string;
  readonly services: CallContext["serviceOutputs"];
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
      ...ref,
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

interface AttemptResult {
  readonly end: TaskEnd;
  readonly output?: StoredOutput;
  /** The worker that was lost on the way, if one was. */
  readonly lost: LostWorker | null;
  /** It ended since a boss was stopped or killed. */
  readonly byBoss?: true;
}

async function executeAttempt(
  attempt: AttemptRef,
  avoid: ReadonlySet<string>,
  context: TaskContext,
  open: AttemptLog | null,
): Promise<AttemptResult> {
  const { id, pipeline, deps } = context;
  const ref: OutputRef = { run: id, pipeline, attempt };
  // Opened before anybody hears of the attempt, so that whoever hears of it finds its output.
  const output = openOutput(deps.outputs, ref, open !== null);
  if (!open) deps.emit({ type: "attempt-started", at: deps.now(), ...attempt });
  try {
    if (output instanceof Error) throw output;
    const outputPath = deps.outputs.path(ref);
    const result = await runAttempt(attempt, { output, outputPath }, { avoid, open }, context);
    return { output: await deps.outputs.close(ref), ...result };
  } catch (error) {
    // A started attempt always finishes, exactly once.
    await deps.outputs.close(ref).catch(() => {});
    const message = `the task's output cannot be stored: ${asError(error).message}`;
    return { end: { status: "errored", fault: { message } }, lost: null };
  }
}

function openOutput(outputs: TaskOutputs, ref: OutputRef, reopen: boolean): PrintedOutput | Error {
  try {
    return outputs.open(ref, { reopen });
  } catch (error) {
    return asError(error);
  }
}

async function runAttempt(
  attempt: AttemptRef,
  { output, outputPath }: Pick<CallContext, "output" | "outputPath">,
  { avoid, open }: { readonly avoid: ReadonlySet<string>; readonly open: AttemptLog | null },
  { host, signal, leaving, gone, deps }: TaskContext,
): Promise<AttemptResult> {
  // Only one that is brought back may have to end by itself.
  const own = open && new AbortController();
  const unheard = own && followAbort(leaving, own);
  const ended = own?.signal ?? leaving;
  let again: Fault | null = null;
  const endBecause = (fault: Fault) => {
    again ??= fault;
    own?.abort();
  };

  let lost: LostWorker | null = null;
  const { emit, now, workers, expectations, secrets, sources, builds } = deps;
  const { maxArtifactBytes, keepFailedMs } = deps;
  const calls: CallContext = {
    attempt,
    output,
    outputPath,
    maxArtifactBytes,
    serviceOutputs: deps.outputs.services,
    keepFailedMs,
    secrets,
    emit,
    now,
    workers,
    expectations,
    sources,
    builds,
    avoid,
    lose: (worker) => {
      lost = worker;
    },
  };
  const replay =
    open &&
    new Replay({
      log: open,
      output,
      recall: async (call) => {
        const { finished, worker, any } = call;
        if (finished && isLost(finished.outcome)) {
          calls.lose({ url: worker, any, refused: isRefused(finished.outcome) });
        }
        return recallCall(call, output);
      },
      resume: (call, request, callSignal) => resumeCall(call, request, callSignal, calls),
      execute: (call, request, callSignal) => executeCall(call, request, callSignal, calls),
      giveUp: (reason) => endBecause(cannotGoOn(reason)),
    });
  const printed = maskedOutput(secrets, (bytes) =>
    replay ? replay.write(bytes) : output.append(ownSource, bytes),
  );
  /** Of the first command that the machinery kept from giving an answer. */
  let trouble: Fault | null = null;
  const io: TaskIo = {
    write: printed.write,
    call: async (call, callSignal) => {
      // What the task printed before it called stands before what the command prints.
      void printed.release();
      const result = await (replay
        ? replay.call(call, callSignal)
        : executeCall(call.call, call, callSignal, calls));
      if (result.outcome.kind === "faulted") trouble ??= faultOf(result.outcome);
      return result;
    },
  };
  let end: TaskEnd;
  try {
    if (open && deps.hurdle !== undefined) endBecause(cannotGoOn(deps.hurdle));
    if (output.hasGap) endBecause(cannotGoOn("not all of its output could be stored"));
    end = withoutBlame(await host.runTask(attempt, io, ended), trouble);
    void printed.release();
    if (!ended.aborted && !gone.aborted) replay?.checkEnd();
  } finally {
    if (replay) await replay.close();
    unheard?.();
  }
  // What else may have happened is no news.
  if (signal.aborted) return { end: { status: "cancelled" }, lost };
  const fault: Fault | null = again ?? (deps.stop.over.aborted ? stopped : null);
  const isHostGone = gone.aborted && !deps.stop.over.aborted;
  if (fault && !isHostGone) return { end: { status: "errored", fault }, lost, byBoss: true };
  return { end, lost };
}

const stopped: Fault = { message: "the boss was stopped; it is run again at its next start" };

function faultOf({
  message,
  hint,
}: {
  readonly message: string;
  readonly hint?: string | undefined;
}): Fault {
  return { message, ...(hint !== undefined && { hint }) };
}

/**
 * Code that collects or wraps what its commands threw ends with an error of its own. Where one of them was trouble of the
 * machinery, that error says nothing of the code under test.
 */
function withoutBlame(end: TaskEnd, trouble: Fault | null): TaskEnd {
  if (!trouble || end.status !== "failed" || end.failure.kind !== "thrown") return end;
  return { status: "errored", fault: trouble };
}

function followAbort(signal: AbortSignal, controller: AbortController): () => void {
  if (signal.aborted) controller.abort();
  return onAbort(signal, () => controller.abort());
}

function cannotGoOn(reason: string): Fault {
  const message = `the boss was killed in the middle of this attempt, which cannot be brought back: ${reason}`;
  return { message, hint: "It is run again from its beginning." };
}
