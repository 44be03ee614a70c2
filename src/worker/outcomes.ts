// How commands end, in the words of the wire.

import type { Outcome } from "../wire/worker.js";
import { ExecutorFault } from "./executors/executor.js";

/** As far as a worker can know it. */
export function isRed(outcome: Outcome): boolean {
  if (outcome.kind === "exited") return outcome.exitCode !== 0;
  return outcome.kind === "timed-out" || outcome.kind === "out-of-memory";
}

export function spoolFault(error: Error): ExecutorFault {
  return new ExecutorFault(`the worker could not keep the output: ${error.message}`, {
    hint: "is the disk of the worker's data folder full?",
  });
}

/** It had no limit of its own: the system took it for all that the machine ran. */
export function machineOutOfMemory(): ExecutorFault {
  return new ExecutorFault("the worker's machine ran out of memory, and the command was killed", {
    hint: "give it a limit (memory), or all commands of a worker one with --max-memory",
  });
}

/** Whatever went wrong, as an outcome. */
export function faulted(error: unknown): Extract<Outcome, { kind: "faulted" }> {
  const message = error instanceof Error ? error.message : String(error);
  const { hint, lost = false } = error instanceof ExecutorFault ? error : {};
  return {
    kind: "faulted",
    message,
    ...(hint !== undefined && { hint }),
    ...(lost && { workerLost: true }),
  };
}
