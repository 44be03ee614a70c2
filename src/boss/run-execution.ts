// One run, from its pipedef to its verdict.

import { setMaxListeners } from "node:events";
import type { CallRequest, CallResult, PipedefHost, TaskIo } from "../../runtime/host/host.js";
import { faultOfProblem } from "../../runtime/host/problem.js";
import type { ByteLog } from "../lib/byte-log.js";
import type { AttemptRef, RunCreated, RunEvent } from "../model/events.js";
import type { Fault, RunVerdict, TaskEnd } from "../model/failure.js";
import { type Pipeline, type StageDefinition, type TaskRef, taskKey } from "../model/pipeline.js";
import { eachTask, type Run, verdictOf } from "../model/run.js";
import { OutputTail } from "./output-tail.js";
import type { OutputRef, Outputs } from "./outputs.js";
import type { TaskSlots } from "./task-slots.js";
import type { LostWorker, Workers } from "./workers.js";

export interface RunDependencies {
  readonly emit: (event: RunEvent) => void;
  readonly state: () => Run;
  readonly openHost: () => Promise<PipedefHost>;
  readonly workers: Pick<Workers, "execute" | "mayReturn" | "returned">;
  /** How often a task is tried again whose worker was lost. */
  readonly infraRetries: number;
  readonly outputs: Outputs;
  readonly slots: TaskSlots;
  readonly now: () => number;
}

/** Never rejects; its last event is run-finished. An aborted signal cancels the run. */
export async function executeRun(
  id: number,
  request: RunCreated,
  signal: AbortSignal,
  deps: RunDependencies,
): Promise<void> {
  let host: PipedefHost | undefined;
  let end: { verdict: RunVerdict; fault?: Fault };
  try {
    // Cancelled in the queue: a boss that stops with hundreds of runs waiting must not open a host for each.
    if (signal.aborted) end = { verdict: "cancelled" };
    else {
      host = await deps.openHost();
      end = await executeWith(host, id, request, signal, deps);
    }
  } catch (error) {
    // Only bugs of ours and broken machinery come here: red tests and broken pipedefs are values.
    end = { verdict: "errored", fault: { message: `bettertest failed: ${asError(error).stack}` } };
  }
  await host?.close().catch(() => {});
  deps.emit({ type: "run-finished", at: deps.now(), ...end });
}

async function executeWith(
  host: PipedefHost,
  id: number,
  request: RunCreated,
  signal: AbortSignal,
  deps: RunDependencies,
): Promise<{ verdict: RunVerdict; fault?: Fault }> {
  // 1. Load. A pipedef that does not load is a fault of the pipedef, never a red test.
  const loaded = await orAborted(host.load(), signal);
  if (loaded === "aborted") return { verdict: "cancelled" };
  if (!loaded.ok) return { verdict: "errored", fault: faultOfProblem(loaded.problem) };
  const pipeline = keepOnly(loaded.pipeline, request.only);
  deps.emit({ type: "run-loaded", at: deps.now(), pipeline });
  const missing = missingTask(pipeline, request.only);
  if (missing) {
    const message = `the pipedef has no task ${missing.stage}.${missing.task} any more`;
    return { verdict: "errored", fault: { message, origin: "pipedef" } };
  }

  // 2. Watch for the death of the host: it takes the whole run with it.
  let broken: Fault | undefined;
  const gone = new AbortController();
  setMaxListeners(0, gone.signal);
  void host.broken.then((fault) => {
    broken = fault;
    gone.abort();
  });
  const onAbort = () => gone.abort();
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) gone.abort();

  // 3. Stages in order. A red stage ends the run, since later stages build on it.
  let red: string | undefined;
  for (const stage of pipeline.stages) {
    const reason = broken
      ? "the pipedef's host is gone"
      : signal.aborted
        ? "the run was cancelled"
        : red !== undefined && !stage.always && !request.keepGoing
          ? `stage ${red} did not pass`
          : undefined;
    if (reason !== undefined) {
      skip(stage, reason, deps);
      continue;
    }
    await executeStage(stage, { host, id, pipeline, signal, gone: gone.signal, deps });
    const state = deps.state().stages.find((candidate) => candidate.name === stage.name);
    if (
      red === undefined &&
      verdictOf(state?.tasks.map((task) => task.status) ?? []) !== "passed"
    ) {
      red = stage.name;
    }
  }
  signal.removeEventListener("abort", onAbort);

  if (signal.aborted) return { verdict: "cancelled" };
  if (broken) return { verdict: "errored", fault: { ...broken, origin: "pipedef" } };
  return { verdict: verdictOf([...eachTask(deps.state())].map(({ task }) => task.status)) };
}

interface StageContext {
  readonly host: PipedefHost;
  readonly id: number;
  readonly pipeline: Pipeline;
  /** The run is cancelled. */
  readonly signal: AbortSignal;
  /** No further task can start: cancelled, or the host is gone. */
  readonly gone: AbortSignal;
  readonly deps: RunDependencies;
}

async function executeStage(stage: StageDefinition, context: StageContext): Promise<void> {
  const { deps, gone } = context;
  deps.emit({ type: "stage-started", at: deps.now(), stage: stage.name });
  const refs = stage.tasks.map((task): TaskRef => ({ stage: stage.name, task: task.name }));
  for (const ref of refs) deps.emit({ type: "task-queued", at: deps.now(), ...ref });
  // Side by side; a red one does not stop its siblings.
  await Promise.all(
    refs.map(async (ref) => {
      const release = await deps.slots.acquire(gone);
      if (!release) {
        const reason = context.signal.aborted
          ? "the run was cancelled"
          : "the pipedef's host is gone";
        deps.emit({ type: "task-skipped", at: deps.now(), ...ref, reason });
        return;
      }
      try {
        await executeTask(ref, stage, context);
      } finally {
        release();
      }
    }),
  );
  deps.emit({ type: "stage-finished", at: deps.now(), stage: stage.name });
}

/** Attempt after attempt, until one says how the task ended. */
async function executeTask(
  ref: TaskRef,
  stage: StageDefinition,
  context: StageContext,
): Promise<void> {
  const { signal, gone, deps } = context;
  const retries = stage.tasks.find(({ name }) => name === ref.task)?.retries ?? 0;
  const avoid = new Set<string>();
  let redTries = 0;
  let lostTries = 0;
  for (let attempt = 1; ; attempt++) {
    const { end, lost } = await executeAttempt({ ...ref, attempt }, avoid, context);
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
  /** The worker that was lost on the way, if one was. */
  readonly lost: LostWorker | null;
}

async function executeAttempt(
  attempt: AttemptRef,
  avoid: ReadonlySet<string>,
  { host, id, pipeline, signal, deps }: StageContext,
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
  const end = await attemptTask(output, host, signal, context);
  return { end, lost };
}

function openOutput(outputs: Outputs, ref: OutputRef): ByteLog | Error {
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
  readonly deps: RunDependencies;
}

/** Never rejects: a started attempt always finishes, exactly once. */
async function attemptTask(
  output: ByteLog | Error,
  host: PipedefHost,
  signal: AbortSignal,
  context: AttemptContext,
): Promise<TaskEnd> {
  const { ref, deps } = context;
  try {
    if (output instanceof Error) throw output;
    const write = (bytes: Uint8Array) => output.append(bytes);
    const io: TaskIo = {
      write,
      call: (call, callSignal) => executeCall(call, callSignal, { ...context, write }),
    };
    const end = await host.runTask(ref.attempt, io, signal);
    await deps.outputs.close(ref);
    return end;
  } catch (error) {
    await deps.outputs.close(ref).catch(() => {});
    const message = `the task's output cannot be stored: ${asError(error).message}`;
    return { status: "errored", fault: { message, hint: "Is the disk of --data full?" } };
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
  const startedAt = performance.now();
  let chosen = worker ?? "";
  const outcome = await deps.workers.execute(
    { worker, avoid },
    request,
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
        });
      },
      output: (bytes) => {
        tail.push(bytes);
        return write(bytes);
      },
    },
    signal,
  );
  const durationMs = performance.now() - startedAt;
  if (outcome.kind === "faulted" && outcome.workerLost) {
    context.lose({ url: chosen, any: worker === null });
  }
  deps.emit({ type: "call-finished", at: deps.now(), ...attempt, call, outcome });
  return { outcome, durationMs, output: tail.bytes(), outputBytes: tail.total };
}

function skip(stage: StageDefinition, reason: string, deps: RunDependencies) {
  for (const task of stage.tasks) {
    deps.emit({ type: "task-skipped", at: deps.now(), stage: stage.name, task: task.name, reason });
  }
}

/** The pipeline of a run that was asked for some tasks holds just those. */
function keepOnly(pipeline: Pipeline, only: readonly TaskRef[] | undefined): Pipeline {
  if (!only) return pipeline;
  const wanted = new Set(only.map(taskKey));
  const stages = pipeline.stages
    .map((stage) => ({
      ...stage,
      tasks: stage.tasks.filter((task) =>
        wanted.has(taskKey({ stage: stage.name, task: task.name })),
      ),
    }))
    .filter((stage) => stage.tasks.length > 0);
  return { ...pipeline, stages };
}

function missingTask(
  pipeline: Pipeline,
  only: readonly TaskRef[] | undefined,
): TaskRef | undefined {
  const has = new Set(
    pipeline.stages.flatMap((stage) =>
      stage.tasks.map((task) => taskKey({ stage: stage.name, task: task.name })),
    ),
  );
  return only?.find((ref) => !has.has(taskKey(ref)));
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | "aborted"> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve("aborted");
    const onAbort = () => resolve("aborted");
    signal.addEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
