// One attempt of a task: what its code does to the world, and what its end says.

import type { CallRequest, CallResult, TaskIo } from "../../../runtime/host/host.js";
import { asError } from "../../lib/as-error.js";
import { onAbort } from "../../lib/on-abort.js";
import type { AttemptRef, CallRef, StoredOutput } from "../../model/events.js";
import type { Fault, TaskEnd } from "../../model/failure.js";
import { ownSource, type PrintedOutput } from "../output/attempt-output.js";
import type { OutputRef } from "../output/outputs.js";
import { type MaskedOutput, maskedOutput } from "../secrets/masked-output.js";
import type { LostWorker } from "../workers.js";
import type { AttemptLog } from "./attempt-log.js";
import { isLost, isRefused } from "./call-end.js";
import { type CallContext, executeCall, recallCall, resumeCall } from "./call-execution.js";
import { Replay } from "./replay.js";
import type { TaskContext, TaskDependencies, TaskOutputs } from "./task-execution.js";

export interface AttemptResult {
  readonly end: TaskEnd;
  /** Null: nothing is known of it. */
  readonly output: StoredOutput | null;
  /** The worker that was lost on the way, if one was. */
  readonly lost: LostWorker | null;
  /** It ended since a boss was stopped or killed. */
  readonly byBoss: boolean;
}

export async function executeAttempt(
  attempt: AttemptRef,
  avoid: ReadonlySet<string>,
  context: TaskContext,
  /** What an earlier boss has seen of it. */
  open: AttemptLog | null,
): Promise<AttemptResult> {
  const { outputs, emit, now } = context.deps;
  const ref: OutputRef = { run: context.id, pipeline: context.pipeline, attempt };
  // Opened before anybody hears of the attempt, so that whoever hears of it finds its output.
  const output = openOutput(outputs, ref, open !== null);
  if (!open) {
    const { stage, task } = attempt;
    emit({ type: "attempt-started", at: now(), stage, task, attempt: attempt.attempt });
  }
  try {
    if (output instanceof Error) throw output;
    const where = { attempt, output, outputPath: outputs.path(ref), avoid };
    const live = new LiveAttempt(where, context, open);
    try {
      live.ran(await context.host.runTask(attempt, live, live.ended));
    } finally {
      const closing = live.close();
      if (closing) await closing;
    }
    const result = live.result();
    return { ...result, output: await outputs.close(ref) };
  } catch (error) {
    // A started attempt always finishes, exactly once.
    await outputs.close(ref).catch(() => {});
    const message = `the task's output cannot be stored: ${asError(error).message}`;
    return {
      end: { status: "errored", fault: { message } },
      output: null,
      lost: null,
      byBoss: false,
    };
  }
}

function openOutput(outputs: TaskOutputs, ref: OutputRef, reopen: boolean): PrintedOutput | Error {
  try {
    return outputs.open(ref, { reopen });
  } catch (error) {
    return asError(error);
  }
}

/** Order: its signal and its io go to the host, then ran, close, result. */
class LiveAttempt implements TaskIo, CallContext {
  readonly attempt: AttemptRef;
  readonly output: PrintedOutput;
  readonly outputPath: string;
  readonly avoid: ReadonlySet<string>;
  readonly deps: TaskDependencies;
  readonly #context: TaskContext;
  readonly #replay: Replay | null;
  /** Only one that is brought back may have to end by itself. */
  readonly #own: AbortController | null;
  readonly #unheard: (() => void) | null;
  readonly #printed: MaskedOutput;
  #end: TaskEnd | null = null;
  #again: Fault | null = null;
  #lost: LostWorker | null = null;
  /** Of the first command that the machinery kept from giving an answer. */
  #trouble: Fault | null = null;

  constructor(
    {
      attempt,
      output,
      outputPath,
      avoid,
    }: Pick<CallContext, "attempt" | "output" | "outputPath" | "avoid">,
    context: TaskContext,
    open: AttemptLog | null,
  ) {
    const { deps, leaving } = context;
    this.attempt = attempt;
    this.output = output;
    this.outputPath = outputPath;
    this.avoid = avoid;
    this.deps = deps;
    this.#context = context;
    this.#own = open && new AbortController();
    this.#unheard = this.#own && followAbort(leaving, this.#own);
    this.#replay = open && this.#replayOf(open);
    this.#printed = maskedOutput(deps.secrets, (bytes) =>
      this.#replay ? this.#replay.write(bytes) : output.append(ownSource, bytes),
    );
    if (open && deps.hurdle !== undefined) this.#endBecause(cannotGoOn(deps.hurdle));
    if (output.hasGap) this.#endBecause(cannotGoOn("not all of its output could be stored"));
  }

  /** Aborted: what runs of it is to end. */
  get ended(): AbortSignal {
    return this.#own?.signal ?? this.#context.leaving;
  }

  get write() {
    return this.#printed.write;
  }

  call(call: Pick<CallRef, "call"> & CallRequest, signal: AbortSignal): Promise<CallResult> {
    // What the task printed before it called stands before what the command prints.
    void this.#printed.release();
    const calling = this.#replay
      ? this.#replay.call(call, signal)
      : executeCall(call.call, call, signal, this);
    return calling.then(this.#answered);
  }

  readonly #answered = (result: CallResult): CallResult => {
    if (result.outcome.kind === "faulted") this.#trouble ??= faultOf(result.outcome);
    return result;
  };

  lose(worker: LostWorker): void {
    this.#lost = worker;
  }

  ran(end: TaskEnd): void {
    this.#end = withoutBlame(end, this.#trouble);
    void this.#printed.release();
    if (!this.ended.aborted && !this.#context.gone.aborted) this.#replay?.checkEnd();
  }

  /** Of one that is brought back: resolves when nothing of it is under way any more. */
  close(): Promise<void> | undefined {
    return this.#replay?.close().finally(() => this.#unheard?.());
  }

  result(): AttemptResult {
    const { signal, gone, deps } = this.#context;
    const lost = this.#lost;
    // What else may have happened is no news.
    if (signal.aborted || !this.#end)
      return { end: { status: "cancelled" }, output: null, lost, byBoss: false };
    const fault = this.#again ?? (deps.stop.over.aborted ? stopped : null);
    const isHostGone = gone.aborted && !deps.stop.over.aborted;
    const byBoss = fault !== null && !isHostGone;
    const end: TaskEnd = byBoss ? { status: "errored", fault } : this.#end;
    return { end, output: null, lost, byBoss };
  }

  #replayOf(log: AttemptLog): Replay {
    return new Replay({
      log,
      output: this.output,
      recall: async (call) => {
        const { finished, worker, any } = call;
        if (finished && isLost(finished.outcome)) {
          this.lose({ url: worker, any, refused: isRefused(finished.outcome) });
        }
        return recallCall(call, this.output);
      },
      resume: (call, request, signal) => resumeCall(call, request, signal, this),
      execute: (call, request, signal) => executeCall(call, request, signal, this),
      giveUp: (reason) => this.#endBecause(cannotGoOn(reason)),
    });
  }

  #endBecause(fault: Fault): void {
    this.#again ??= fault;
    this.#own?.abort();
  }
}

const stopped: Fault = { message: "the boss was stopped; it is run again at its next start" };

function faultOf({
  message,
  hint,
}: {
  readonly message: string;
  readonly hint?: string | undefined;
}): Fault {
  return { message, ...(hint !== undefined && { hint }) };
}

/**
 * Code that collects or wraps what its commands threw ends with an error of its own. Where one of them was trouble of the
 * machinery, that error says nothing of the code under test.
 */
function withoutBlame(end: TaskEnd, trouble: Fault | null): TaskEnd {
  if (!trouble || end.status !== "failed" || end.failure.kind !== "thrown") return end;
  return { status: "errored", fault: trouble };
}

function followAbort(signal: AbortSignal, controller: AbortController): () => void {
  if (signal.aborted) controller.abort();
  return onAbort(signal, () => controller.abort());
}

function cannotGoOn(reason: string): Fault {
  const message = `the boss was killed in the middle of this attempt, which cannot be brought back: ${reason}`;
  return { message, hint: "It is run again from its beginning." };
}
