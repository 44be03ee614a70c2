// Where a pipedef's code runs: a thread, a child process, or a Python interpreter. The boss sees only this.

import type { CallRef } from "../../src/model/events.js";
import type { Fault, TaskEnd } from "../../src/model/failure.js";
import type { Pipeline, SourceLocation, TaskRef } from "../../src/model/pipeline.js";
import type { AskedCommand, Outcome } from "../../src/wire/worker.js";

/**
 * Holds one loaded pipedef for one run. Order: load, once; runTask any number of times, also at the same
 * time; close, always, also after a failure, and safe to call twice. close ends everything the pipedef
 * started: thread, processes, timers. No method but load may be called after `broken` has resolved.
 */
export interface PipedefHost {
  load(): Promise<LoadResult>;
  /** Never rejects. An aborted signal ends it as `cancelled`. */
  runTask(
    task: TaskRef & { readonly attempt: number },
    io: TaskIo,
    signal: AbortSignal,
  ): Promise<TaskEnd>;
  /** Resolves if the host dies or stops answering; tasks in flight then end as errored with the same fault. */
  readonly broken: Promise<Fault>;
  close(): Promise<void>;
}

/** What a running task may do to the world. */
export interface TaskIo {
  /** Text the task itself printed. Awaited before more is sent, so a slow disk slows the printer only. */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /** One `run(...)`. Its output goes to the task's output by itself. Never rejects. */
  call(call: Pick<CallRef, "call"> & CallRequest, signal: AbortSignal): Promise<CallResult>;
}

export interface CallRequest {
  /** Null: one of the boss's own workers. */
  readonly worker: string | null;
  readonly request: AskedCommand;
}

export interface CallResult {
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** The end of what the command printed, at most 1 MiB. */
  readonly output: Uint8Array;
  /** All it printed. */
  readonly outputBytes: number;
}

export type LoadResult =
  | { readonly ok: true; readonly pipeline: Pipeline; readonly files: readonly string[] }
  /** `files` are those it got to, so that a broken pipedef can be watched for its repair. */
  | { readonly ok: false; readonly problem: PipedefProblem; readonly files: readonly string[] };

/** Why a pipedef cannot be used. Never a red test. */
export interface PipedefProblem {
  readonly kind: "syntax" | "import" | "threw" | "empty" | "duplicate" | "stalled" | "host";
  readonly message: string;
  readonly location?: SourceLocation;
  /** The line of the source the location names. */
  readonly sourceLine?: string;
  readonly stack?: string;
  readonly hint?: string;
}

export interface HostOptions {
  /** Absolute path of the pipedef. */
  readonly pipedef: string;
  /** TypeScript only; Python always has its own process. */
  readonly home: "thread" | "process";
  /** What process.env holds inside the pipedef. */
  readonly env: Readonly<Record<string, string>>;
  /** Files by absolute path: these bytes count, whatever is on disk now. Absent: what is on disk. */
  readonly sources?: ReadonlyMap<string, Uint8Array>;
  /** Where the next process finds what this one has worked out; absent: nowhere. */
  readonly cacheFolder?: string | undefined;
  readonly memoryBytes: number;
  /**
   * How long the pipedef's code may keep its event loop from answering. In Python, how long processes that a task
   * left running may go without a call.
   */
  readonly stallTimeoutMs: number;
  /** What the pipedef prints while it loads, outside every task. */
  readonly onLoadOutput?: (bytes: Uint8Array) => void;
}
