// One call of a task: a command on a worker, from the event that tells of it to the one that tells its outcome.
// In between the boss may be killed. Before the worker hears of the call its name there is stored, and the
// worker may forget it only after its outcome is stored and its output is in the file: so a boss that comes
// back knows of every command that may run, and can ask for everything it has not got.

import type { CallRequest, CallResult } from "../../../runtime/host/host.js";
import type { AttemptRef, RunEvent } from "../../model/events.js";
import type { ServiceSent } from "../../model/service.js";
import type { Outcome } from "../../wire/worker.js";
import { type ExecutionIo, type LeftBehind, nothingLeft } from "../../wire/worker-client.js";
import type { OutputTaker } from "../../wire/worker-output.js";
import { ownSource, type PrintedOutput } from "../output/attempt-output.js";
import { OutputTail } from "../output/output-tail.js";
import type { ServiceOutputs } from "../output/service-outputs.js";
import { type MaskedOutput, maskedOutput } from "../secrets/masked-output.js";
import type { Secrets } from "../secrets/secrets.js";
import type { LostWorker, SentTo, Workers } from "../workers.js";
import type { LoggedCall } from "./attempt-log.js";
import { bringSources, type RunBuilds, secretInArguments } from "./call-builds.js";
import { mountsCaches } from "./call-caches.js";
import { digestOf } from "./call-digest.js";
import { finishCall, isLost, isRefused } from "./call-end.js";
import { CallFiles } from "./call-files.js";
import { toldOptions } from "./call-options.js";
import { CallServices, servicesIn } from "./call-services.js";
import type { RunExpectations } from "./expectations.js";
import type { RunSources } from "./sources.js";

/** What all calls of a run have in common. */
export interface CallDependencies {
  readonly emit: (event: RunEvent) => void;
  readonly now: () => number;
  readonly workers: Pick<Workers, "execute" | "resume">;
  readonly expectations: Pick<RunExpectations, "called">;
  readonly sources: RunSources;
  readonly builds: RunBuilds;
  /** Most that is kept of the files that one command has left. */
  readonly maxArtifactBytes: number;
  /** For sandboxes of red commands; undefined: as the worker does by itself. */
  readonly keepFailedMs?: number | undefined;
  readonly outputs: { readonly services: Pick<ServiceOutputs, "open" | "close"> };
  readonly secrets: Secrets;
}

/** Of one attempt. */
export interface CallContext {
  readonly attempt: AttemptRef;
  readonly output: PrintedOutput;
  /** Of the output; what commands leave is kept beside it. */
  readonly outputPath: string;
  /** Own workers to be chosen only where there is no other. */
  readonly avoid: ReadonlySet<string>;
  lose(worker: LostWorker): void;
  readonly deps: CallDependencies;
}

/** Never rejects. */
export function executeCall(
  call: number,
  asked: CallRequest,
  signal: AbortSignal,
  context: CallContext,
): Promise<CallResult> {
  return new NewCall(call, asked, context).execute(signal);
}

/** One object, and not a function for each thing that may come of it: a thousand calls may be under way. */
class NewCall implements ExecutionIo {
  readonly #call: number;
  readonly #asked: CallRequest;
  readonly #context: CallContext;
  readonly #services: readonly ServiceSent[];
  readonly #beside: CallServices | null;
  readonly #files: CallFiles;
  readonly service?: (name: string) => OutputTaker;
  readonly #tail = new OutputTail();
  readonly #copy: MaskedOutput;
  readonly #startedAt = performance.now();
  #worker: string;
  #execution = "";
  #isSent = false;
  #durationMs = 0;
  #end: Outcome | undefined;

  constructor(call: number, asked: CallRequest, context: CallContext) {
    const { output, deps } = context;
    this.#call = call;
    this.#asked = asked;
    this.#context = context;
    this.#worker = asked.worker ?? "";
    this.#services = servicesIn(asked.request);
    this.#beside = besideCall(
      call,
      this.#services.map(({ name }) => name),
      context,
    );
    if (this.#beside) this.service = this.#beside.take;
    this.#files = filesOfCall(call, context);
    this.#copy = maskedOutput(deps.secrets, (bytes) => {
      this.#tail.push(bytes);
      return output.append(call, bytes);
    });
  }

  async execute(signal: AbortSignal): Promise<CallResult> {
    const { worker, request } = this.#asked;
    const { attempt, avoid, deps } = this.#context;
    const { keepFailedMs, secrets } = deps;
    const sendable = secrets.withValues(request);
    const refused = sendable.ok ? secretInArguments(request, secrets) : sendable.outcome;
    if (!sendable.ok || refused) {
      const outcome = refused ?? { kind: "cancelled" };
      await this.settled(outcome, nothingLeft);
      return this.#result(outcome);
    }
    const bring = bringSources(request, deps.sources, () => ({
      ...deps.builds.origin,
      task: `${attempt.stage}.${attempt.task}`,
    }));
    // Folders of its own are not made ahead; nor is the sandbox of a build, which may need none.
    if (!request.build?.only && !request.filesBuild && !mountsCaches(request))
      deps.expectations.called(attempt.stage, worker, request);
    const outcome = await deps.workers.execute(
      { worker, avoid, ...(bring && { bring }) },
      keepFailedMs === undefined ? sendable.request : { ...sendable.request, keepFailedMs },
      this,
      signal,
    );
    return this.#result(this.#end ?? outcome);
  }

  chosen({ url, execution }: SentTo): void {
    if (this.#isSent) return;
    this.#isSent = true;
    this.#worker = url;
    this.#execution = execution;
    const { attempt, output, deps } = this.#context;
    deps.emit({
      type: "call-sent",
      at: deps.now(),
      stage: attempt.stage,
      task: attempt.task,
      attempt: attempt.attempt,
      call: this.#call,
      worker: url,
      execution,
      ...(this.#isForAny && { any: true }),
      digest: digestOf(this.#asked),
      printedBytes: output.receivedFrom(ownSource),
      ...(this.#beside && { services: this.#services }),
    });
  }

  get output() {
    return this.#copy.write;
  }

  get files() {
    return this.#files.take;
  }

  started(sandbox: string): void {
    const { request } = this.#asked;
    const { attempt, deps } = this.#context;
    deps.emit({
      type: "call-started",
      at: deps.now(),
      stage: attempt.stage,
      task: attempt.task,
      attempt: attempt.attempt,
      call: this.#call,
      command: request.command,
      image: request.image,
      worker: this.#worker,
      sandbox,
      ...toldOptions(request),
    });
  }

  settled(outcome: Outcome, left: LeftBehind): Promise<void> {
    // Where it went to nobody: that it was made must be known as well.
    this.chosen({ url: this.#worker, execution: "" });
    void this.#copy.release();
    this.#durationMs = Math.round(performance.now() - this.#startedAt);
    if (isLost(outcome)) {
      const refused = isRefused(outcome);
      this.#context.lose({ url: this.#worker, any: this.#isForAny, refused });
    }
    const ended = {
      call: this.#call,
      durationMs: this.#durationMs,
      files: this.#files,
      beside: this.#beside,
      left,
      at: { worker: this.#worker, execution: this.#execution },
    };
    return finishCall(outcome, ended, this.#context).then((end) => {
      this.#end = end;
    });
  }

  get #isForAny(): boolean {
    return this.#asked.worker === null;
  }

  #result(outcome: Outcome): CallResult {
    const { total } = this.#tail;
    return {
      outcome,
      durationMs: this.#durationMs,
      output: this.#tail.bytes(),
      outputBytes: total,
    };
  }
}

function filesOfCall(call: number, { outputPath, deps }: CallContext): CallFiles {
  const { secrets, maxArtifactBytes } = deps;
  return new CallFiles({ call, outputPath, secrets, maxArtifactBytes });
}

/** Null: nothing runs beside it. */
function besideCall(
  call: number,
  names: readonly string[],
  { outputPath, deps }: CallContext,
): CallServices | null {
  if (names.length === 0) return null;
  const { secrets, outputs } = deps;
  return new CallServices(names, { call, outputPath, secrets, serviceOutputs: outputs.services });
}

/** Takes up again what an earlier boss had sent; `request` comes when the task's code has made it again. Never rejects. */
export async function resumeCall(
  { call, worker, any, execution, services, sentAt, started }: LoggedCall,
  request: Promise<CallRequest>,
  signal: AbortSignal,
  context: CallContext,
): Promise<CallResult> {
  const { attempt, output, deps } = context;
  const { secrets, emit, now, workers } = deps;
  const tail = new OutputTail();
  const had = output.receivedFrom(call);
  tail.push((await output.earlierEndOf(call, OutputTail.limitBytes)) ?? new Uint8Array());
  tail.total = had;
  // A secret may have begun before the last byte that is here: some of it is read once more.
  const from = Math.max(0, had - secrets.reach);
  let known = had - from;
  const copy = maskedOutput(secrets, (bytes) => {
    const news = bytes.subarray(known);
    known = Math.max(0, known - bytes.length);
    tail.push(news);
    return output.append(call, news);
  });
  let durationMs = 0;
  const files = filesOfCall(call, context);
  const beside = besideCall(call, services, context);
  let end: Outcome | undefined;
  const outcome = await workers.resume(
    { url: worker, any },
    { id: execution, outputBytes: from, services },
    {
      started: (sandbox) => {
        if (started) return;
        const at = now();
        void request.then(({ request: made }) => {
          const { command, image } = made;
          const told = { ...attempt, call, command, image, worker, sandbox, ...toldOptions(made) };
          emit({ type: "call-started", at, ...told });
        });
      },
      output: copy.write,
      files: files.take,
      ...(beside && { service: beside.take }),
      settled: async (settled, left) => {
        void copy.release();
        durationMs = Math.max(0, now() - sentAt);
        const at = { worker, execution };
        end = await finishCall(settled, { call, durationMs, files, beside, left, at }, context);
      },
    },
    signal,
  );
  return { outcome: end ?? outcome, durationMs, output: tail.bytes(), outputBytes: tail.total };
}

/** What a call that had ended before the boss was killed gave; null where its output is not kept any more. */
export async function recallCall(
  { call, finished }: LoggedCall,
  output: PrintedOutput,
): Promise<CallResult | null> {
  const end = await output.earlierEndOf(call, OutputTail.limitBytes);
  if (!finished || !end) return null;
  const { outcome, durationMs } = finished;
  return { outcome, durationMs, output: end, outputBytes: output.receivedFrom(call) };
}
