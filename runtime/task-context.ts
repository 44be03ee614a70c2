// What links the public API to the host that runs a pipedef: who is running, and where things go.

import { AsyncLocalStorage } from "node:async_hooks";
import type { AskedServices } from "../src/wire/service.js";
import type { Outcome } from "../src/wire/worker.js";
import type { Source } from "./api.js";
import type { CallRequest, CallResult } from "./host/host.js";

export interface TaskContext {
  /**
   * Hands the command to the boss; the task does not end before it. Rejects only when the task is
   * cancelled.
   */
  call(request: CallRequest): Promise<CallResult>;
  /** Those of its stage. */
  readonly services?: AskedServices | undefined;
}

/** How the command of a CommandFailed ended, in the boss's words. */
export const commandOutcomes = new WeakMap<Error, Outcome>();

export const taskContext = new AsyncLocalStorage<TaskContext>();

/** A stage made by `stage(...)`, in the order of the calls. */
export interface FunctionalStage {
  readonly name: string;
  readonly always: boolean;
  readonly services?: AskedServices;
  readonly tasks: FunctionalTask[];
  /** Where `stage(...)` was called; read for its place in the source. */
  readonly calledAt: Error;
}

export interface FunctionalTask {
  readonly name: string;
  readonly run: () => unknown;
  readonly retries: number;
  readonly calledAt: Error;
}

export const retryCounts = "a whole number from 0 to 100";

export function isRetryCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 100;
}

/** What a load has made so far. Set by the host before the pipedef's first line runs. */
export interface Registration {
  readonly root: string;
  readonly stages: FunctionalStage[];
  /** For every command that does not say otherwise. */
  readonly defaults: { source?: Source; services?: AskedServices };
  sealed: boolean;
}

let current: Registration | null = null;

export function beginRegistration(root: string): Registration {
  current = { root, stages: [], defaults: {}, sealed: false };
  return current;
}

export function registration(): Registration | null {
  return current;
}
