// One command on one worker, from the first request until the worker has forgotten it.

import { onAbort } from "../lib/on-abort.js";
import { CommandAttempt, type ExecutionIo, nothingLeft } from "./command-attempt.js";
import { type CommandRequest, executionPath, type Outcome } from "./worker.js";
import type { WorkerConnection } from "./worker-connection.js";

export interface KnownExecution {
  readonly id: string;
  /** So many bytes of its output are here already. */
  readonly outputBytes: number;
  /** Names of its services. */
  readonly services?: readonly string[];
}

interface CommandCall {
  /** Null: it was asked for already, and nothing may be started. */
  readonly request: CommandRequest | null;
  readonly execution: KnownExecution;
  readonly io: ExecutionIo;
  readonly signal: AbortSignal;
}

/** See WorkerClient.execute. */
export async function executeOn(
  worker: WorkerConnection,
  leaseMs: number,
  call: CommandCall,
): Promise<Outcome> {
  const { request, execution, io, signal } = call;
  const path = executionPath(execution.id);
  const forget = () => worker.forgetting.now(execution.id);
  if (signal.aborted) {
    if (!request) await forget();
    await io.settled?.({ kind: "cancelled" }, nothingLeft);
    return { kind: "cancelled" };
  }
  const attempt = new CommandAttempt(worker, {
    request,
    outputBytes: execution.outputBytes,
    services: execution.services ?? Object.keys(request?.services ?? {}),
    io,
    path,
    leaseMs,
  });
  let unheard = () => {};
  const cancelled = new Promise<Outcome>((resolve) => {
    const cancel = async () => {
      // A start that came to the worker behind this would run with nobody to end it.
      await attempt.startNoMore(worker.connectTimeoutMs);
      // The answer comes when the sandbox is gone.
      await forget();
      resolve({ kind: "cancelled" });
    };
    unheard = onAbort(signal, cancel);
  });

  const first = await Promise.race([attempt.outcome(), cancelled]);
  // Once aborted, what else happened is no news: the sandbox is to be gone, and that is worth the wait.
  const outcome = signal.aborted ? await cancelled : first;
  unheard();
  attempt.leave();
  await io.settled?.(outcome, outcome.kind === "cancelled" ? nothingLeft : attempt.left);
  if (outcome.kind !== "cancelled" && attempt.mayBeKept) worker.forgetting.add(execution.id);
  return outcome;
}
