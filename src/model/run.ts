// A run as its readers see it, and the one function that changes it.

import type {
  CallStarted,
  KeptCall,
  RunCreated,
  RunEvent,
  RunSource,
  StoredOutput,
} from "./events.js";
import type { Fault, RunVerdict, TaskEnd } from "./failure.js";
import { type BuildResult, describeCached } from "./image-build.js";
import { type Pipeline, type TaskRef, taskPosition } from "./pipeline.js";
import type { ServiceEnded, ServiceSent, ServiceState } from "./service.js";
import type { FilesSummary } from "./test-results.js";

export interface Run {
  readonly id: number;
  readonly request: RunCreated;
  readonly status: RunStatus;
  /** Null until the pipedef is loaded for this run. */
  readonly pipeline: Pipeline | null;
  /** Same order and length as `pipeline.stages`. */
  readonly stages: readonly StageState[];
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly cancelledBy: string | null;
  readonly fault: Fault | null;
  /** Never deleted to make room. Absent: not pinned. */
  readonly pinned?: boolean;
  /** The code that it tests. Absent: what its images hold, as far as is known. */
  readonly sources?: readonly RunSource[];
}

export type RunStatus = "queued" | "running" | RunVerdict;

export interface StageState {
  readonly name: string;
  readonly status: "waiting" | "running" | "finished";
  /** Same order and length as the stage's definition. */
  readonly tasks: readonly TaskState[];
}

export type TaskStatus =
  | "waiting"
  | "queued"
  | "running"
  | "passed"
  | "failed"
  | "errored"
  | "cancelled"
  | "skipped";

export interface TaskState {
  readonly name: string;
  readonly status: TaskStatus;
  readonly attempts: readonly AttemptState[];
  readonly skippedBecause: string | null;
}

export interface AttemptState {
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly calls: readonly CallStarted[];
  readonly end: TaskEnd | null;
  /** What its commands have left, by the numbers of their calls; absent: nothing was asked for. */
  readonly files?: Readonly<Record<number, FilesSummary>>;
  /** Of its calls that built an image or files, or whose image could not be built, by their numbers; absent: none did. */
  readonly builds?: Readonly<Record<number, BuildResult>>;
  /** What runs beside its commands, by the numbers of their calls; absent: nothing does. */
  readonly services?: Readonly<Record<number, readonly ServiceState[]>>;
  /** Sandboxes of its red commands, as they were to be kept. Absent: none. */
  readonly kept?: readonly KeptCall[];
  /** Known after its end. */
  readonly output?: StoredOutput;
}

export function newRun(id: number, request: RunCreated): Run {
  return {
    id,
    request,
    status: "queued",
    pipeline: null,
    stages: [],
    startedAt: null,
    finishedAt: null,
    cancelledBy: null,
    fault: null,
    ...(request.sources && { sources: request.sources }),
  };
}

export function applyEvent(run: Run, event: RunEvent): Run {
  return applyOwned(run, event, new Map());
}

/** The same as one after the other; a run of many tasks is copied once, not once an event. */
export function applyEvents(run: Run, events: readonly RunEvent[]): Run {
  const own: OwnLists = new Map();
  return events.reduce((before, event) => applyOwned(before, event, own), run);
}

/** Lists of tasks that this very fold has made, so that nobody else has seen them: it may change them. */
export type OwnLists = Map<readonly TaskState[], TaskState[]>;

/** As applyEvent; changes the lists in `own`, and adds those that it makes. */
export function applyOwned(run: Run, event: RunEvent, own: OwnLists): Run {
  switch (event.type) {
    case "run-created":
      return newRun(run.id, event);
    case "run-loaded":
      return {
        ...run,
        status: "running",
        startedAt: event.at,
        pipeline: event.pipeline,
        stages: waitingStages(event.pipeline),
      };
    case "run-source":
      return { ...run, sources: [...(run.sources ?? []), event.source] };
    case "stage-started":
      return changeStage(run, event.stage, (stage) => ({ ...stage, status: "running" }));
    case "stage-finished":
      return changeStage(run, event.stage, (stage) => ({ ...stage, status: "finished" }));
    case "task-queued":
      return changeTask(run, event, own, (task) => ({ ...task, status: "queued" }));
    case "task-skipped":
      return changeTask(run, event, own, (task) => ({
        ...task,
        status: "skipped",
        skippedBecause: event.reason,
      }));
    case "attempt-started":
      return changeTask(run, event, own, (task) => ({
        ...task,
        status: "running",
        attempts: [
          ...task.attempts,
          { startedAt: event.at, finishedAt: null, calls: [], end: null },
        ],
      }));
    case "call-started": {
      const { type: _, at: __, ...call } = event;
      return changeTask(run, event, own, (task) => ({
        ...task,
        attempts: changedAt(task.attempts, event.attempt - 1, (attempt) => ({
          ...attempt,
          calls: [...attempt.calls, call],
        })),
      }));
    }
    case "call-files":
      return changeTask(run, event, own, (task) => ({
        ...task,
        attempts: changedAt(task.attempts, event.attempt - 1, (attempt) => ({
          ...attempt,
          files: { ...attempt.files, [event.call]: event.files },
        })),
      }));
    case "call-sent":
    case "call-finished": {
      const { services, attempt: number, call } = event;
      const isEnd = event.type === "call-finished";
      const build = isEnd && event.outcome.kind === "exited" ? event.outcome.build : undefined;
      const kept = isEnd ? event.kept : undefined;
      if (!build && !services && !kept) return run;
      return changeTask(run, event, own, (task) => ({
        ...task,
        attempts: changedAt(task.attempts, number - 1, (attempt) => ({
          ...attempt,
          ...(build && { builds: { ...attempt.builds, [call]: build } }),
          ...(services && {
            services: {
              ...attempt.services,
              [call]: servicesAfter(attempt.services?.[call], services),
            },
          }),
          ...(kept && { kept: [...(attempt.kept ?? []), { ...kept, attempt: number, call }] }),
        })),
      }));
    }
    case "run-resumed":
      return run;
    case "attempt-finished":
      return changeTask(run, event, own, (task) => ({
        ...task,
        status: event.retried ? "queued" : event.end.status,
        attempts: changedAt(task.attempts, event.attempt - 1, (attempt) => {
          const { at: finishedAt, end, output } = event;
          return output ? { output, ...attempt, finishedAt, end } : { ...attempt, finishedAt, end };
        }),
      }));
    case "cancel-requested":
      return { ...run, cancelledBy: event.by };
    case "pin-changed":
      return { ...run, pinned: event.pinned };
    case "run-finished":
      return { ...run, status: event.verdict, finishedAt: event.at, fault: event.fault ?? null };
    default:
      return event satisfies never;
  }
}

function servicesAfter(
  known: readonly ServiceState[] = [],
  news: readonly (ServiceSent | ServiceEnded)[],
): ServiceState[] {
  return news.map((one) => {
    if ("image" in one) return one;
    const { name, ...ended } = one;
    return { name, image: known.find((sent) => sent.name === name)?.image ?? "", ended };
  });
}

function waitingStages(pipeline: Pipeline): StageState[] {
  return pipeline.stages.map((stage) => ({
    name: stage.name,
    status: "waiting",
    tasks: stage.tasks.map((task) => ({
      name: task.name,
      status: "waiting",
      attempts: [],
      skippedBecause: null,
    })),
  }));
}

function changeStage(run: Run, name: string, change: (stage: StageState) => StageState): Run {
  return {
    ...run,
    stages: run.stages.map((stage) => (stage.name === name ? change(stage) : stage)),
  };
}

function changeTask(
  run: Run,
  ref: TaskRef,
  own: OwnLists,
  change: (task: TaskState) => TaskState,
): Run {
  const position = run.pipeline && taskPosition(run.pipeline, ref);
  if (!position) return run;
  const [s, t] = position;
  const stage = run.stages[s]!;
  const owned = own.get(stage.tasks);
  if (owned) {
    // Nobody has seen the run that holds it either.
    owned[t] = change(owned[t]!);
    return run;
  }
  const tasks = [...stage.tasks];
  own.set(tasks, tasks);
  tasks[t] = change(tasks[t]!);
  const stages = run.stages.slice();
  stages[s] = { ...stage, tasks };
  return { ...run, stages };
}

function changedAt<T>(list: readonly T[], place: number, change: (item: T) => T): T[] {
  const changed = list.slice();
  const item = list[place];
  if (item !== undefined) changed[place] = change(item);
  return changed;
}

export function findTask(run: Run, ref: TaskRef): TaskState | undefined {
  const position = run.pipeline && taskPosition(run.pipeline, ref);
  return position ? run.stages[position[0]]?.tasks[position[1]] : undefined;
}

/** Passed, and was red before: who trusts it should know. */
export function isFlaky({ status, attempts }: TaskState): boolean {
  return status === "passed" && attempts.some(({ end }) => end?.status === "failed");
}

/**
 * The images and files that it asked for, where that was all that it did and all were there already; null: it has done
 * more. A task that has run a command is never cached.
 */
export function cachedBuilds({ status, attempts }: TaskState): readonly BuildResult[] | null {
  const { calls = [], builds = {} } = attempts.at(-1) ?? {};
  if (status !== "passed" || calls.length === 0) return null;
  const made = calls.flatMap(({ call, builds: isBuild }) => (isBuild && builds[call]) || []);
  const areCached = made.every((build) => build.kind !== "failed" && build.cached);
  return areCached && made.length === calls.length ? made : null;
}

/** "attempt 2", "flaky, attempt 2", "cached, made by run 12", what is missing of its output; null where there is nothing to add. */
export function attemptNote(task: TaskState): string | null {
  const { length } = task.attempts;
  const notes = [];
  if (isFlaky(task)) notes.push("flaky");
  if (length > 1) notes.push(`attempt ${length}`);
  const cached = cachedBuilds(task);
  if (cached) notes.push(describeCached(cached));
  const missing = task.attempts.at(-1)?.output?.missing;
  if (missing) {
    notes.push(`${missing.bytes} bytes of its output could not be stored: ${missing.because}`);
  }
  return notes.length === 0 ? null : notes.join(", ");
}

/** What the commands of its last attempt have left. */
export function filesOf(task: TaskState): readonly FilesSummary[] {
  return Object.values(task.attempts.at(-1)?.files ?? {});
}

export function isFinished(run: Run): boolean {
  return run.finishedAt !== null;
}

/** Every task with its stage's name, in pipeline order. */
export function* eachTask(run: Run): Generator<{ ref: TaskRef; task: TaskState }> {
  for (const stage of run.stages) {
    for (const task of stage.tasks) yield { ref: { stage: stage.name, task: task.name }, task };
  }
}

/**
 * The verdict of tasks that have all ended. A red test outranks an infrastructure fault: it is the
 * surer knowledge, and hiding it behind "errored" would send its author away without it.
 */
export function verdictOf(statuses: Iterable<TaskStatus>): RunVerdict {
  const seen = new Set(statuses);
  if (seen.has("failed")) return "failed";
  if (seen.has("errored")) return "errored";
  if (seen.has("cancelled")) return "cancelled";
  return "passed";
}
