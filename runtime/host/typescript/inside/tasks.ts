// Runs tasks, each in its own context, and decides how each ended. Never green by accident: what a task
// started is waited for, and a command that failed unseen still counts.

import { setImmediate } from "node:timers";
import type { Failure, TaskEnd } from "../../../../src/model/failure.js";
import { describeUnbuilt } from "../../../../src/model/image-build.js";
import type { AskedServices } from "../../../../src/wire/service.js";
import { CommandFailed, InfrastructureError } from "../../../api.js";
import { commandOutcomes, type TaskContext, taskContext } from "../../../task-context.js";
import type { CallRequest, CallResult } from "../../host.js";
import { describeThrown } from "./describe-thrown.js";
import type { Link } from "./link.js";

export interface RunningTask extends TaskContext {
  readonly id: number;
  readonly label: string;
  print(bytes: Uint8Array): void;
  answer(call: number, result: CallResult): void;
  cancel(): void;
  /** A rejection that nobody handled. False: this task cannot account for it. */
  blame(promise: Promise<unknown>, reason: unknown): boolean;
  /** Somebody handled it after all. */
  forgive(promise: Promise<unknown>): void;
  /** Called once; never rejects. */
  start(): Promise<TaskEnd>;
}

class Cancelled extends Error {
  override readonly name = "Cancelled";
}

export function createTask(
  {
    id,
    label,
    run,
    services,
  }: { id: number; label: string; run: () => unknown; services?: AskedServices | undefined },
  link: Link,
): RunningTask {
  const calls = new Map<
    number,
    { resolve(result: CallResult): void; reject(error: Error): void }
  >();
  const pending = new Set<Promise<unknown>>();
  const blamed = new Map<Promise<unknown>, unknown>();
  let lastCall = 0;
  let cancelled = false;
  let ended = false;

  const task: RunningTask = {
    id,
    label,
    services,
    print(bytes) {
      link.send({ type: "output", task: ended ? null : id }, bytes);
    },
    call(request: CallRequest) {
      if (ended) throw new Error(`run(...) was called after its task ${label} had ended`);
      if (cancelled) return Promise.reject(new Cancelled(`task ${label} is cancelled`));
      lastCall += 1;
      const call = lastCall;
      const answer = new Promise<CallResult>((resolve, reject) =>
        calls.set(call, { resolve, reject }),
      );
      // This promise, not the one the author gets: watching that would count as handling its failure.
      const settled = () => pending.delete(answer);
      pending.add(answer);
      answer.then(settled, settled);
      link.send({ type: "call", id, call, worker: request.worker, request: request.request });
      return answer;
    },
    answer(call, result) {
      const waiting = calls.get(call);
      calls.delete(call);
      if (cancelled && result.outcome.kind === "cancelled") {
        waiting?.reject(new Cancelled(`task ${label} is cancelled`));
      } else waiting?.resolve(result);
    },
    cancel() {
      cancelled = true;
    },
    blame(promise, reason) {
      if (ended) return false;
      if (reason instanceof Cancelled) return true;
      if (!(reason instanceof CommandFailed || reason instanceof InfrastructureError)) return false;
      blamed.set(promise, reason);
      return true;
    },
    forgive(promise) {
      blamed.delete(promise);
    },
    start: () => taskContext.run(task, runToEnd),
  };

  async function runToEnd(): Promise<TaskEnd> {
    let thrown: { error: unknown } | undefined;
    try {
      refuseUnrun(await run());
    } catch (error) {
      thrown = { error };
    }
    // Commands may start commands, so until none is left. The turn in between lets the engine report
    // rejections that nobody handles.
    do {
      await Promise.allSettled([...pending]);
      await new Promise((turn) => setImmediate(turn));
    } while (pending.size > 0);
    const errors = [...(thrown ? [thrown.error] : []), ...blamed.values()];
    const end: TaskEnd = cancelled ? { status: "cancelled" } : endOf(errors, task);
    ended = true;
    return end;
  }

  return task;
}

/** To call a generator is to run nothing of it: the task would be green whatever it says. */
function refuseUnrun(result: unknown): void {
  const kind = Object.prototype.toString.call(result);
  if (kind === "[object Generator]" || kind === "[object AsyncGenerator]")
    throw new TypeError("the task is a generator (it has a yield), so nothing of it ran");
}

/** Trouble of the machinery wins: while that is there, nothing can be said about the code under test. */
function endOf(errors: readonly unknown[], task: RunningTask): TaskEnd {
  const infrastructure = errors.find((error) => error instanceof InfrastructureError);
  if (infrastructure instanceof InfrastructureError) {
    const { message, hint } = infrastructure;
    return { status: "errored", fault: { message, ...(hint && { hint }) } };
  }
  const [first] = errors;
  // The system's limit on memory outside the heap; the tests have not even been asked.
  if (first instanceof RangeError && first.message === "Array buffer allocation failed") {
    return {
      status: "errored",
      fault: { message: `the pipedef ran out of memory: ${first.message}` },
    };
  }
  if (errors.length === 0) return { status: "passed" };
  if (first instanceof CommandFailed) return { status: "failed", failure: failureOf(first) };
  const { message, details } = describeThrown(first);
  task.print(new TextEncoder().encode(`${details}\n`));
  return { status: "failed", failure: { kind: "thrown", message } };
}

function failureOf(error: CommandFailed): Failure {
  const { command } = error;
  const outcome = commandOutcomes.get(error);
  const build = outcome?.kind === "exited" ? describeUnbuilt(outcome.build) : undefined;
  switch (outcome?.kind) {
    case "exited":
      return {
        kind: "exit",
        command,
        exitCode: outcome.exitCode,
        ...(outcome.failedTests !== undefined && { failedTests: outcome.failedTests }),
        ...(build !== undefined && { build }),
        ...crowded(outcome),
      };
    case "timed-out":
      return { kind: "timeout", command, afterMs: outcome.afterMs, ...crowded(outcome) };
    case "out-of-memory":
      return { kind: "out-of-memory", command, limitBytes: outcome.limitBytes };
    default:
      // Made by the pipedef itself.
      return { kind: "thrown", message: error.message };
  }
}

function crowded({ processLimit }: { readonly processLimit?: number }) {
  return processLimit === undefined ? {} : { processLimit };
}
