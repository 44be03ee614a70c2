// One task of a run: its attempts, and the calls of each to workers.

import type { CallRequest, CallResult, PipedefHost, TaskIo } from "../../runtime/host/host.js";
import { asError } from "../lib/as-error.js";
import type { AttemptRef, RunEvent, StoredOutput } from "../model/events.js";
import type { TaskEnd } from "../model/failure.js";
import type { Pipeline, StageDefinition, TaskRef } from "../model/pipeline.js";
import { type AttemptOutput, ownSource } from "./attempt-output.js";
import { toldOptions } from "./call-options.js";
import { maskedOutput } from "./masked-output.js";
import { OutputTail } from "./output-tail.js";
import type { OutputRef, Outputs } from "./outputs.js";
import type { Secrets } from "./secrets.js";
import type { LostWorker, Workers } from "./workers.js";

export interface TaskDependencies {
  readonly emit: (event: RunEvent) => void;
  readonly workers: Pick<Workers, "execute" | "mayReturn" | "returned">;
  /** How often a task is tried again whose worker was lost. */
  readonly infraRetries: number;
  readonly outputs: Outputs;
  readonly secrets: Secrets;
  readonly now: () => number;
}

/** What the tasks of a run have in common. */
export interface TaskContext<Dependencies extends TaskDependencies = TaskDependencies> {
  readonly host: PipedefHost;
  readonly id: number;
  readonly pipeline: Pipeline;
  /** The run is cancelled. */
  readonly signal: AbortSignal;
  /** No further task can start: cancelled, or the host is gone. */
  readonly gone: AbortSignal;
  readonly deps: Dependencies;
}

/** Attempt after attempt, until one says how the task ended. */
export async function executeTask(
  ref: TaskRef,
  stage: StageDefinition,
  context: TaskContext,
): Promise<void> {
  const { signal, gone, deps } = context;
  const retries = stage.tasks.find(({ name }) => name === ref.task)?.retries ?? 0;
  const avoid = new Set<string>();
  let redTries = 0;
  let lostTries = 0;
  for (let attempt = 1; ; attempt++) {
    const { end, output, lost } = await executeAttempt({ ...ref, attempt }, avoid, context);
    // A red test is red: trying it again is its author's choice. That of a lost worker says nothing.
    const isRedAgain = end.status === "failed" && redTries < retries;
    const isLostAgain =
      end.status === "errored" &&
      end.fault.origin !== "pipedef" &&
      lost !== null &&
      lostTries < deps.infraRetries &&
      deps.workers.mayReturn(lost);
    const retried = (isRedAgain || isLostAgain) && !gone.aborted;
    deps.emit({
      type: "attempt-finished",
      at: deps.now(),
      ...ref,
      attempt,
      end,
      ...(retried && { retried }),
      ...(output && { output }),
    });
    if (!retried) return;
    if (isRedAgain) redTries += 1;
    else if (lost) {
      lostTries += 1;
      avoid.add(lost.url);
      await deps.workers.returned(lost, lostTries, gone);
    }
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
}

async function executeAttempt(
  attempt: AttemptRef,
  avoid: ReadonlySet<string>,
  { host, id, pipeline, signal, deps }: TaskContext,
): Promise<AttemptResult> {
  const outputRef: OutputRef = { run: id, pipeline, attempt };
  // Opened before anybody hears of the attempt, so that whoever hears of it finds its output.
  const output = openOutput(deps.outputs, outputRef);
  deps.emit({ type: "attempt-started", at: deps.now(), ...attempt });
  let lost: LostWorker | null = null;
  const context = {
    ref: outputRef,
    avoid,
    lose: (worker: LostWorker) => {
      lost = worker;
    },
    deps,
  };
  return { ...(await attemptTask(output, host, signal, context)), lost };
}

function openOutput(outputs: Outputs, ref: OutputRef): AttemptOutput | Error {
  try {
    return outputs.open(ref);
  } catch (error) {
    return asError(error);
  }
}

interface AttemptContext {
  readonly ref: OutputRef;
  readonly avoid: ReadonlySet<string>;
  readonly lose: (worker: LostWorker) => void;
  readonly deps: TaskDependencies;
}

/** Never rejects: a started attempt always finishes, exactly once. */
async function attemptTask(
  output: AttemptOutput | Error,
  host: PipedefHost,
  signal: AbortSignal,
  context: AttemptContext,
): Promise<Omit<AttemptResult, "lost">> {
  const { ref, deps } = context;
  try {
    if (output instanceof Error) throw output;
    const printed = maskedOutput(deps.secrets, (bytes) => output.append(ownSource, bytes));
    const io: TaskIo = {
      write: printed.write,
      call: (call, callSignal) => {
        // What the task printed before it called stands before what the command prints.
        void printed.release();
        const write = (bytes: Uint8Array) => output.append(call.call, bytes);
        return executeCall(call, callSignal, { ...context, write });
      },
    };
    const end = await host.runTask(ref.attempt, io, signal);
    void printed.release();
    return { end, output: await deps.outputs.close(ref) };
  } catch (error) {
    await deps.outputs.close(ref).catch(() => {});
    const message = `the task's output cannot be stored: ${asError(error).message}`;
    return { end: { status: "errored", fault: { message } } };
  }
}

async function executeCall(
  { call, worker, request }: CallRequest & { readonly call: number },
  signal: AbortSignal,
  context: AttemptContext & {
    readonly write: (bytes: Uint8Array) => Promise<void> | undefined;
  },
): Promise<CallResult> {
  const { deps, write, avoid } = context;
  const attempt = context.ref.attempt;
  const tail = new OutputTail();
  const sendable = deps.secrets.withValues(request);
  if (!sendable.ok) {
    const { outcome } = sendable;
    deps.emit({ type: "call-finished", at: deps.now(), ...attempt, call, outcome });
    return { outcome, durationMs: 0, output: tail.bytes(), outputBytes: 0 };
  }
  const masked = maskedOutput(deps.secrets, (bytes) => {
    tail.push(bytes);
    return write(bytes);
  });
  const startedAt = performance.now();
  let chosen = worker ?? "";
  const outcome = await deps.workers.execute(
    { worker, avoid },
    sendable.request,
    {
      chosen: (url) => {
        chosen = url;
      },
      started: (sandbox) => {
        const { command, image } = request;
        deps.emit({
          type: "call-started",
          at: deps.now(),
          ...attempt,
          call,
          command,
          image,
          worker: chosen,
          sandbox,
          ...toldOptions(request),
        });
      },
      output: masked.write,
    },
    signal,
  );
  void masked.release();
  const durationMs = performance.now() - startedAt;
  if (outcome.kind === "faulted" && outcome.workerLost) {
    context.lose({ url: chosen, any: worker === null });
  }
  deps.emit({ type: "call-finished", at: deps.now(), ...attempt, call, outcome });
  return { outcome, durationMs, output: tail.bytes(), outputBytes: tail.total };
}
