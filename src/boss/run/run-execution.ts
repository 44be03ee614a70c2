// One run, from its pipedef to its verdict. It works from the state that its events make: whatever has ended
// already is left as it is. So a run that a boss was killed in the middle of goes the same way as a new one.

import { setMaxListeners } from "node:events";
import type { LoadResult, PipedefHost } from "../../../runtime/host/host.js";
import { faultOfProblem } from "../../../runtime/host/problem.js";
import { asError } from "../../lib/as-error.js";
import { orAborted } from "../../lib/or-else.js";
import type { RunCreated } from "../../model/events.js";
import type { Fault, RunVerdict } from "../../model/failure.js";
import {
  type Pipeline,
  type StageDefinition,
  type TaskRef,
  taskKey,
  taskPosition,
} from "../../model/pipeline.js";
import { eachTask, findTask, type Run, type TaskState, verdictOf } from "../../model/run.js";
import type { Workers } from "../workers.js";
import type { RunPast } from "./attempt-log.js";
import { Crew } from "./crew.js";
import { endInterrupted, interruptedFault } from "./interrupted.js";
import { StageQueue } from "./stage-queue.js";
import { executeTask, type TaskContext, type TaskDependencies } from "./task-execution.js";
import { longestFirst, theseFirst, type UsualMs } from "./task-order.js";
import type { TaskSlots } from "./task-slots.js";

export interface RunDependencies extends TaskDependencies {
  readonly state: () => Run;
  readonly openHost: () => Promise<PipedefHost>;
  /** Called before anybody hears that the pipedef is loaded, with the files it was loaded from. */
  readonly keepSources: (files: readonly string[]) => Promise<void>;
  /** Called when nothing of it can go on any more. */
  readonly forgetSources: () => Promise<void>;
  readonly slots: TaskSlots;
  /** Asked for once, while the pipedef loads. */
  readonly usual: () => UsualMs;
  /** To start before the others of their stage. */
  readonly first?: readonly TaskRef[];
  readonly workers: TaskDependencies["workers"] & Pick<Workers, "hold" | "end">;
  /** Of a run that an earlier boss had begun. */
  readonly past: RunPast | null;
}

type RunEnd = { readonly verdict: RunVerdict; readonly fault?: Fault };

/**
 * Never rejects; its last event is run-finished, but where the boss stops and leaves it to the next one. An
 * aborted signal cancels the run.
 */
export async function executeRun(
  id: number,
  request: RunCreated,
  signal: AbortSignal,
  deps: RunDependencies,
): Promise<void> {
  let host: PipedefHost | undefined;
  let end: RunEnd | "handed back";
  const holding = new AbortController();
  // Its code may take a while until it has come back to these.
  for (const call of deps.past?.inFlight ?? []) {
    void deps.workers.hold({ url: call.worker, any: call.any }, call.execution, holding.signal);
  }
  try {
    // Cancelled in the queue: a boss that stops with hundreds of runs waiting must not open a host for each.
    if (signal.aborted) end = await endAsItIs("cancelled", deps);
    else {
      deps.expectations.begun();
      host = await deps.openHost();
      end = await executeWith(host, id, request, signal, deps, () => holding.abort());
    }
  } catch (error) {
    // Only bugs of ours and broken machinery come here: red tests and broken pipedefs are values.
    const fault = { message: `bettertest failed: ${asError(error).stack}` };
    end = { verdict: "errored", fault };
  }
  holding.abort();
  await host?.close().catch(() => {});
  if (end === "handed back") return;
  deps.expectations.ended();
  await deps.forgetSources();
  deps.emit({ type: "run-finished", at: deps.now(), ...end });
}

/** Nothing of it goes on. */
async function endAsItIs(
  because: Fault | "cancelled",
  { past, state, emit, now, workers }: RunDependencies,
): Promise<RunEnd> {
  await Promise.all(
    (past?.inFlight ?? []).map(({ worker, any, execution }) =>
      workers.end({ url: worker, any }, execution),
    ),
  );
  const { events, ...end } = endInterrupted(state(), now(), because);
  for (const event of events) emit(event);
  return end;
}

async function executeWith(
  host: PipedefHost,
  id: number,
  request: RunCreated,
  signal: AbortSignal,
  deps: RunDependencies,
  /** Told when all that was under way is under way again. */
  resumed: () => void,
): Promise<RunEnd | "handed back"> {
  // 1. Load the pipedef, unless somebody cancels first.
  const leaving = AbortSignal.any([signal, deps.stop.over]);
  setMaxListeners(0, leaving);
  const loading = orAborted(host.load(), leaving, () => "aborted" as const);
  const usualMs = deps.usual();
  const loaded = await loading;
  if (signal.aborted) return endAsItIs("cancelled", deps);
  if (loaded === "aborted") return "handed back";
  const begun = deps.state().pipeline;
  if (!loaded.ok) {
    const fault = faultOfProblem(loaded.problem);
    return begun
      ? endAsItIs(interruptedFault(id, fault.message), deps)
      : { verdict: "errored", fault };
  }
  const pipeline = begun ?? keepOnly(loaded.pipeline, request.only);
  if (!begun) {
    await deps.keepSources(loaded.files);
    deps.emit({ type: "run-loaded", at: deps.now(), pipeline });
  }
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
  deps.stop.over.addEventListener("abort", onAbort);
  if (signal.aborted || deps.stop.over.aborted) gone.abort();

  // 3. Stages in order. A red stage ends the run, since later stages build on it.
  const context: StageContext = {
    host,
    id,
    pipeline,
    signal,
    gone: gone.signal,
    leaving,
    deps,
    loaded,
    usualMs,
  };
  let red: string | undefined;
  for (const stage of pipeline.stages) {
    const reason = broken
      ? "the pipedef's host is gone"
      : signal.aborted
        ? "the run was cancelled"
        : red !== undefined && !stage.always && !request.keepGoing
          ? `stage ${red} did not pass`
          : undefined;
    if (deps.stop.over.aborted && !signal.aborted && !broken) break;
    if (reason !== undefined) skip(stage, reason, deps);
    else await executeStage(stage, context, resumed);
    const state = deps.state().stages.find((candidate) => candidate.name === stage.name);
    if (
      red === undefined &&
      verdictOf(state?.tasks.map((task) => task.status) ?? []) !== "passed"
    ) {
      red = stage.name;
    }
  }
  signal.removeEventListener("abort", onAbort);
  deps.stop.over.removeEventListener("abort", onAbort);

  if (signal.aborted) return { verdict: "cancelled" };
  if (broken) return { verdict: "errored", fault: { ...broken, origin: "pipedef" } };
  const tasks = [...eachTask(deps.state())].map(({ task }) => task);
  if (!tasks.every(hasEnded)) return "handed back";
  return { verdict: verdictOf(tasks.map(({ status }) => status)) };
}

interface StageContext extends TaskContext<RunDependencies> {
  readonly loaded: LoadResult & { readonly ok: true };
  readonly usualMs: UsualMs;
}

async function executeStage(
  stage: StageDefinition,
  context: StageContext,
  resumed: () => void,
): Promise<void> {
  const { deps } = context;
  const before = deps.state().stages.find((candidate) => candidate.name === stage.name);
  if (before?.status === "finished") return;
  if (before?.status === "waiting" && stage.tasks.length > 0 && before.tasks.every(hasEnded))
    return;
  if (before?.status !== "running") {
    deps.emit({ type: "stage-started", at: deps.now(), stage: stage.name });
  }
  const places = theseFirst(deps.first ?? [], stage, longestFirst(stage, context.usualMs));
  const tasks = deps.state().stages.find(({ name }) => name === stage.name)?.tasks;
  const those = (status: TaskState["status"]) =>
    places
      .filter((place) => tasks?.[place]?.status === status)
      .map((place): TaskRef => ({ stage: stage.name, task: stage.tasks[place]!.name }));

  // Side by side; a red one does not stop its siblings. Those that ran before need no slot: they have theirs.
  const crew = new Crew();
  for (const ref of those("running")) {
    crew.add(executeIn(ref, stage, context), deps.slots.seize());
  }
  resumed();
  const queue = new StageQueue(those("waiting"), deps);
  const waiting = [...those("queued"), ...queue.refs];
  // One after the other asks for a slot: so many wait for none, and those of several runs take turns.
  let left = waiting.length;
  deps.expectations.stageStarted(stage.name, () => left);
  for (let index = 0; index < waiting.length; index++) {
    const ref = waiting[index]!;
    queue.tellOf(index - (waiting.length - queue.refs.length));
    if (crew.hasFailed) break;
    const release = await deps.slots.acquire(context.gone);
    left -= 1;
    if (release) crew.add(executeIn(ref, stage, context), release);
    else if (!deps.stop.over.aborted || context.signal.aborted) {
      const reason = context.signal.aborted
        ? "the run was cancelled"
        : "the pipedef's host is gone";
      deps.emit({ type: "task-skipped", at: deps.now(), ...ref, reason });
    }
  }
  queue.stop();
  await crew.done();
  const after = deps.state().stages.find((candidate) => candidate.name === stage.name);
  if (after?.tasks.every(hasEnded)) finishStage(stage, deps);
}

function executeIn(ref: TaskRef, stage: StageDefinition, context: StageContext): Promise<void> {
  if (isGone(ref, context)) return endGone(ref, context);
  return executeTask(ref, stage, context, context.deps.past?.task(ref));
}

function isGone(ref: TaskRef, { loaded }: StageContext): boolean {
  return taskPosition(loaded.pipeline, ref) === undefined;
}

/** The boss was killed, and the pipedef, loaded once more from the same files, gave other tasks. */
async function endGone(ref: TaskRef, { deps }: StageContext): Promise<void> {
  const { attempts = 0, open } = deps.past?.task(ref) ?? {};
  const attempt = open ? attempts : attempts + 1;
  if (!open) deps.emit({ type: "attempt-started", at: deps.now(), ...ref, attempt });
  const message = "the boss was killed, and the pipedef, loaded again, has no such task";
  const hint =
    "Do its tasks depend on something that has changed meanwhile: the time, the environment, other files?";
  const end = { status: "errored", fault: { message, hint, origin: "pipedef" } } as const;
  deps.emit({ type: "attempt-finished", at: deps.now(), ...ref, attempt, end });
}

function finishStage(stage: StageDefinition, deps: RunDependencies): void {
  deps.emit({ type: "stage-finished", at: deps.now(), stage: stage.name });
}

function hasEnded({ status }: TaskState): boolean {
  return status !== "waiting" && status !== "queued" && status !== "running";
}

function skip(stage: StageDefinition, reason: string, deps: RunDependencies) {
  for (const task of stage.tasks) {
    const ref = { stage: stage.name, task: task.name };
    const state = findTask(deps.state(), ref);
    if (state && !hasEnded(state)) {
      deps.emit({ type: "task-skipped", at: deps.now(), ...ref, reason });
    }
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
