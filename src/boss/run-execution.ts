// One run, from its pipedef to its verdict.

import { setMaxListeners } from "node:events";
import type { PipedefHost } from "../../runtime/host/host.js";
import { faultOfProblem } from "../../runtime/host/problem.js";
import { asError } from "../lib/as-error.js";
import type { RunCreated } from "../model/events.js";
import type { Fault, RunVerdict } from "../model/failure.js";
import { type Pipeline, type StageDefinition, type TaskRef, taskKey } from "../model/pipeline.js";
import { eachTask, type Run, verdictOf } from "../model/run.js";
import { executeTask, type TaskContext, type TaskDependencies } from "./task-execution.js";
import type { TaskSlots } from "./task-slots.js";

export interface RunDependencies extends TaskDependencies {
  readonly state: () => Run;
  readonly openHost: () => Promise<PipedefHost>;
  readonly slots: TaskSlots;
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

async function executeStage(
  stage: StageDefinition,
  context: TaskContext<RunDependencies>,
): Promise<void> {
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
