// bettertest from a program: load a pipedef, run it, watch its events, get a typed result.

import { resolve } from "node:path";
import { createHostPool } from "../runtime/host/open-host.js";
import { repoRoot } from "../runtime/host/repo-root.js";
import { openWorkerTokens } from "./access/worker-tokens.js";
import type { Engine } from "./boss/engine.js";
import { createEngineBesideWorker } from "./boss/engine-beside-worker.js";
import { type EngineOptions, engineDefaults } from "./boss/engine-options.js";
import { Secrets } from "./boss/secrets/secrets.js";
import type { LoggedEvent } from "./model/events.js";
import type { Failure, Fault, RunVerdict } from "./model/failure.js";
import type { Pipeline } from "./model/pipeline.js";
import { eachTask, type Run, type TaskState } from "./model/run.js";
import { version } from "./version.js";
import { startWorker } from "./worker/main.js";

export type { LoggedEvent, RunEvent } from "./model/events.js";
export type { Failure, Fault, RunVerdict } from "./model/failure.js";
export type { Pipeline, StageDefinition, TaskDefinition } from "./model/pipeline.js";
export { applyEvent, type Run, type TaskState, type TaskStatus } from "./model/run.js";

export interface OpenOptions {
  /** URLs of workers for calls that name none. Absent: a worker of its own, ended by close. */
  readonly workers?: readonly string[];
  /** Tokens of these workers: lines of URL and token, or one token for all. */
  readonly workerTokenFile?: string;
  /** Of the worker of its own; absent: Docker. */
  readonly executor?: "docker" | "process";
  readonly slots?: number;
  readonly hostHome?: "thread" | "process";
  /** What process.env holds in the pipedef; absent: nothing. */
  readonly env?: Readonly<Record<string, string>>;
  /** What tasks may ask for with `secrets: ["NAME"]`; masked in all they print. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export interface OpenPipedef {
  readonly pipeline: Pipeline;
  run(options?: { readonly only?: readonly string[]; readonly keepGoing?: boolean }): PipedefRun;
  /** Cancels what runs and ends everything that opening started. */
  close(): Promise<void>;
}

export interface PipedefRun {
  readonly id: number;
  /** From the first event on, whenever asked; ends with the run. */
  events(): AsyncIterable<LoggedEvent>;
  /** Raw bytes a task printed, as they come; ends when its last attempt has ended. */
  output(stage: string, task: string): AsyncIterable<Uint8Array>;
  cancel(): void;
  readonly result: Promise<RunResult>;
}

export interface RunResult {
  readonly verdict: RunVerdict;
  /** Why the run as a whole could not do its work. */
  readonly fault: Fault | null;
  readonly tasks: readonly TaskResult[];
  readonly durationMs: number;
}

export interface TaskResult {
  readonly stage: string;
  readonly task: string;
  readonly status: TaskState["status"];
  /** Why it is red. */
  readonly failure: Failure | null;
  /** Why the machinery could not tell. */
  readonly fault: Fault | null;
  readonly durationMs: number | null;
}

/** A pipedef that cannot be loaded. */
export class PipedefError extends Error {
  override readonly name = "PipedefError";
}

/** Rejects with a PipedefError where the pipedef is broken. */
export async function openPipedef(path: string, options: OpenOptions = {}): Promise<OpenPipedef> {
  const { workerTokenFile: file } = options;
  const tokens = file === undefined ? null : openWorkerTokens({ file });
  const hostHome = options.hostHome ?? engineDefaults.hostHome;
  const homes = createHostPool({ spares: 0 });
  // The slowest to start comes first.
  if (!path.endsWith(".py")) {
    homes.warm({ home: hostHome, memoryBytes: engineDefaults.pipedefMemoryBytes });
  }
  const starting = options.workers
    ? null
    : startWorker({
        host: "127.0.0.1",
        port: 0,
        executor: options.executor ?? "docker",
        startIn: repoRoot(resolve(path)),
        poolIdleMs: 0,
        ...(options.slots !== undefined && { slots: options.slots }),
        version,
        log: () => {},
      });
  const engineOptions: EngineOptions = {
    ...engineDefaults,
    pipedefs: [resolve(path)],
    workers: options.workers ?? [],
    ...(tokens && { workerCredentials: { tokens } }),
    hostHome,
    homes,
    env: options.env ?? {},
    ...(options.secrets && { secrets: new Secrets(new Map(Object.entries(options.secrets))) }),
    once: true,
    log: () => {},
  };
  const { engine, close } = await createEngineBesideWorker(engineOptions, starting);
  await engine.pipelines.ready;
  const [view] = engine.pipelines.views();
  if (!view?.pipeline) {
    await close();
    throw new PipedefError(view?.problem ?? `${path} is no pipedef`);
  }
  return {
    pipeline: view.pipeline,
    run: ({ only, keepGoing } = {}) => {
      const started = engine.start({
        ...(only && { only: [...only] }),
        ...(keepGoing !== undefined && { keepGoing }),
        trigger: "library",
      });
      if (!started.ok) throw new Error(started.error);
      return describeRun(engine, started.run);
    },
    close,
  };
}

function describeRun(engine: Engine, id: number): PipedefRun {
  const never = new AbortController().signal;
  return {
    id,
    events: () => engine.log.follow({ run: id, after: 0, signal: never }),
    output: (stage, task) => followOutput(engine, id, stage, task),
    cancel: () => void engine.cancel(id, "library"),
    result: engine.finished(id).then(resultOf),
  };
}

async function* followOutput(engine: Engine, run: number, stage: string, task: string) {
  const signal = new AbortController().signal;
  for await (const { event } of engine.log.follow({ run, after: 0, signal })) {
    if (event.type !== "attempt-started" || event.stage !== stage || event.task !== task) continue;
    const pipeline = engine.store.run(run)!.pipeline!;
    yield* engine.outputs.follow({ run, pipeline, attempt: event });
  }
}

function resultOf(run: Run): RunResult {
  return {
    verdict: run.status as RunVerdict,
    fault: run.fault,
    durationMs: (run.finishedAt ?? 0) - (run.startedAt ?? run.finishedAt ?? 0),
    tasks: [...eachTask(run)].map(({ ref, task }) => {
      const last = task.attempts.at(-1);
      return {
        ...ref,
        status: task.status,
        failure: last?.end?.status === "failed" ? last.end.failure : null,
        fault: last?.end?.status === "errored" ? last.end.fault : null,
        durationMs: last?.finishedAt != null ? last.finishedAt - last.startedAt : null,
      };
    }),
  };
}
