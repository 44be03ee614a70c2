// Everything that happens to a run, as one union. Events are stored, then published; whoever shows or
// judges a run folds them with applyEvent. What tasks print is not here: output is bytes in a file.

import type { Fault, RunVerdict, TaskEnd } from "./failure.js";
import type { BuildResult } from "./image-build.js";
import type { Pipeline, TaskRef } from "./pipeline.js";
import type { ServiceEnded, ServiceSent } from "./service.js";
import type { FilesSummary } from "./test-results.js";

export type RunEvent =
  | RunCreated
  | { readonly type: "run-loaded"; readonly at: number; readonly pipeline: Pipeline }
  /** What it tests has been found out: said when the first command asks for it. */
  | { readonly type: "run-source"; readonly at: number; readonly source: RunSource }
  | { readonly type: "stage-started"; readonly at: number; readonly stage: string }
  | ({ readonly type: "task-queued"; readonly at: number } & TaskRef)
  | ({ readonly type: "task-skipped"; readonly at: number; readonly reason: string } & TaskRef)
  | ({ readonly type: "attempt-started"; readonly at: number } & AttemptRef)
  | ({ readonly type: "call-sent"; readonly at: number } & CallSent)
  | ({ readonly type: "call-started"; readonly at: number } & CallStarted)
  /** What the command has left: before its end, and once more where a boss was killed in between. */
  | ({ readonly type: "call-files"; readonly at: number } & CallFilesKept)
  | ({ readonly type: "call-finished"; readonly at: number } & CallFinished)
  | ({
      readonly type: "attempt-finished";
      readonly at: number;
      readonly end: TaskEnd;
      /** Another attempt follows, so this end is not the task's. */
      readonly retried?: true;
      /** Absent where nothing is known of it. */
      readonly output?: StoredOutput;
      /** It ended since the boss was stopped or killed, which is not to be held against the task. */
      readonly byBoss?: true;
    } & AttemptRef)
  | { readonly type: "stage-finished"; readonly at: number; readonly stage: string }
  /** The boss was away, and goes on with it. */
  | { readonly type: "run-resumed"; readonly at: number }
  | { readonly type: "cancel-requested"; readonly at: number; readonly by: string }
  /** Kept for ever, or no longer; may come after the run's end. */
  | {
      readonly type: "pin-changed";
      readonly at: number;
      readonly pinned: boolean;
      readonly by: string;
    }
  | {
      readonly type: "run-finished";
      readonly at: number;
      readonly verdict: RunVerdict;
      /** Why the run as a whole could not do its work; absent when its tasks tell the story. */
      readonly fault?: Fault;
    };

export interface RunCreated {
  readonly type: "run-created";
  readonly at: number;
  readonly pipelineName: string;
  /** Path of the pipedef. */
  readonly pipedef: string;
  /** Absent: every task. */
  readonly only?: readonly TaskRef[];
  readonly keepGoing: boolean;
  /** Who or what asked: "api", "cli", "rerun of 3", ... */
  readonly trigger: string;
  /** How long sandboxes of red commands are kept; absent: as the workers do by themselves. */
  readonly keepFailedMs?: number;
  /** Those of the run that is run again. */
  readonly sources?: readonly RunSource[];
  /** The run that is run again, on those sources; by its time, too, since a number may be another's where a run is taken in. */
  readonly again?: { readonly run: number; readonly at: number };
}

/** A state of the code under test, which can be had again by its `tree`. */
export type RunSource =
  | {
      readonly kind: "workspace";
      /** What the working tree stands on; null where there is no repo, or no commit yet. */
      readonly commit: string | null;
      readonly branch?: string;
      /** Whether it differs from the commit; absent where there is no repo. */
      readonly dirty?: boolean;
      readonly tree: string;
      readonly files: number;
    }
  | {
      readonly kind: "git";
      readonly url: string;
      readonly ref: string;
      readonly commit: string;
      readonly tree: string;
    };

export interface AttemptRef extends TaskRef {
  /** From 1. */
  readonly attempt: number;
}

/** Of what an attempt printed. */
export interface StoredOutput {
  /** Of its file. */
  readonly bytes: number;
  /** What the disk has refused; the file says so where there was room for that. */
  readonly missing?: { readonly bytes: number; readonly because: string };
}

/** One `run(...)` of a task's code. Numbered from 1 in the order of the calls. */
export interface CallRef extends AttemptRef {
  readonly call: number;
}

/** Stored before the worker hears of it: what a boss that comes back needs to go on with the call. */
export interface CallSent extends CallRef {
  /** The worker's address, and the name it knows the command by. */
  readonly worker: string;
  readonly execution: string;
  /** The call named no worker. */
  readonly any?: true;
  /** Of worker and request, to tell whether the task's code makes the same call again. */
  readonly digest: string;
  /** So many bytes the task's own code had printed before. */
  readonly printedBytes: number;
  /** What is to run beside the command. */
  readonly services?: readonly ServiceSent[];
}

export interface CallFilesKept extends CallRef {
  readonly files: FilesSummary;
}

export interface CallFinished extends CallRef {
  readonly outcome: CallOutcome;
  readonly durationMs: number;
  readonly services?: readonly ServiceEnded[];
  /** Of its sandbox, where that was to be kept. */
  readonly kept?: KeptSandbox | KeptNot;
}

/** What is left of a red command for people to go into. */
export interface KeptSandbox {
  readonly worker: string;
  readonly execution: string;
  /** What the worker calls it before everybody. */
  readonly id: string;
  /** It may be sooner, or later where somebody goes in: the worker tells. */
  readonly until: number;
}

export interface KeptNot {
  readonly problem: string;
}

export interface KeptSandboxCall extends KeptSandbox {
  readonly attempt: number;
  readonly call: number;
}

export type KeptCall =
  | KeptSandboxCall
  | (KeptNot & { readonly attempt: number; readonly call: number });

export interface CallStarted extends CallRef, CallOptions {
  readonly command: string;
  readonly image: string;
  readonly worker: string;
  /** Name of the container, pod or process. */
  readonly sandbox: string;
}

/** What else the call asked for; absent: the image's or the worker's own. */
export interface CallOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Names of variables whose values are not told: secrets, and what by its name may be one. */
  readonly secrets?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly timeoutMs?: number;
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly network?: boolean;
  /** It builds the image, and runs nothing in it; the command says how. "files": the command ran only where it had to. */
  readonly builds?: true | "files";
  /** Where the command saw its source. */
  readonly sourcePath?: string;
}

/** What the worker said of the command; the shape of the wire's Outcome. */
export type CallOutcome =
  | {
      readonly kind: "exited";
      readonly exitCode: number;
      readonly processLimit?: number;
      readonly failedTests?: number;
      /** Of a call that built an image or files, or whose image could not be built. */
      readonly build?: BuildResult;
    }
  | { readonly kind: "timed-out"; readonly afterMs: number; readonly processLimit?: number }
  | { readonly kind: "out-of-memory"; readonly limitBytes: number | null }
  | { readonly kind: "cancelled" }
  | {
      readonly kind: "faulted";
      readonly message: string;
      readonly hint?: string | undefined;
      readonly workerLost?: true | undefined;
      readonly notStarted?: true | undefined;
    };

/** An event with its place in the log. Sequence numbers grow over all runs of a boss. */
export interface LoggedEvent {
  readonly seq: number;
  readonly run: number;
  readonly event: RunEvent;
}
