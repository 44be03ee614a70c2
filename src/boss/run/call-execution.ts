// One call of a task: a command on a worker, from the event that tells of it to the one that tells its outcome.
// In between the boss may be killed. Before the worker hears of the call its name there is stored, and the
// worker may forget it only after its outcome is stored and its output is in the file: so a boss that comes
// back knows of every command that may run, and can ask for everything it has not got.

import type { CallRequest, CallResult } from "../../../runtime/host/host.js";
import { asError } from "../../lib/as-error.js";
import type {
  AttemptRef,
  CallOutcome,
  KeptNot,
  KeptSandbox,
  RunEvent,
} from "../../model/events.js";
import type { ServiceEnded } from "../../model/service.js";
import type { KeptNote, Outcome } from "../../wire/worker.js";
import { type LeftBehind, nothingLeft } from "../../wire/worker-client.js";
import { ownSource, type PrintedOutput } from "../output/attempt-output.js";
import { OutputTail } from "../output/output-tail.js";
import type { ServiceOutputs } from "../output/service-outputs.js";
import { maskedOutput } from "../secrets/masked-output.js";
import type { Secrets } from "../secrets/secrets.js";
import type { LostWorker, SentTo, Workers } from "../workers.js";
import type { LoggedCall } from "./attempt-log.js";
import { bringSources, type RunBuilds, secretInArguments, withKnownOrigin } from "./call-builds.js";
import { mountsCaches } from "./call-caches.js";
import { digestOf } from "./call-digest.js";
import { CallFiles } from "./call-files.js";
import { toldOptions } from "./call-options.js";
import { CallServices, servicesIn } from "./call-services.js";
import type { RunExpectations } from "./expectations.js";
import type { RunSources } from "./sources.js";

export interface CallContext {
  readonly attempt: AttemptRef;
  readonly output: PrintedOutput;
  /** Of the output; what commands leave is kept beside it. */
  readonly outputPath: string;
  /** Of one command. */
  readonly maxArtifactBytes: number;
  readonly serviceOutputs: Pick<ServiceOutputs, "open" | "close">;
  /** For sandboxes of red commands; undefined: as the worker does by itself. */
  readonly keepFailedMs: number | undefined;
  readonly secrets: Secrets;
  readonly emit: (event: RunEvent) => void;
  readonly now: () => number;
  readonly workers: Pick<Workers, "execute" | "resume">;
  readonly expectations: Pick<RunExpectations, "called">;
  readonly sources: RunSources;
  readonly builds: RunBuilds;
  /** Own workers to be chosen only where there is no other. */
  readonly avoid: ReadonlySet<string>;
  readonly lose: (worker: LostWorker) => void;
}

/** Never rejects. */
export async function executeCall(
  call: number,
  { worker, request }: CallRequest,
  signal: AbortSignal,
  context: CallContext,
): Promise<CallResult> {
  const { attempt, output, secrets, emit, now, workers, avoid, sources, builds } = context;
  const services = servicesIn(request);
  const beside = new CallServices(
    services.map(({ name }) => name),
    { call, ...context },
  );
  const { keepFailedMs } = context;
  const tail = new OutputTail();
  const startedAt = performance.now();
  let chosen = worker ?? "";
  let sentAs = "";
  let isSent = false;
  const sent = ({ url, execution }: SentTo) => {
    if (isSent) return;
    isSent = true;
    chosen = url;
    sentAs = execution;
    emit({
      type: "call-sent",
      at: now(),
      ...attempt,
      call,
      worker: url,
      execution,
      ...(worker === null && { any: true }),
      digest: digestOf({ worker, request }),
      printedBytes: output.receivedFrom(ownSource),
      ...(services.length > 0 && { services }),
    });
  };
  let durationMs = 0;
  const files = new CallFiles({ call, ...context });
  let end: Outcome | undefined;
  const settled = async (outcome: Outcome, left: LeftBehind) => {
    // Where it went to nobody: that it was made must be known as well.
    sent({ url: chosen, execution: "" });
    void copy.release();
    durationMs = Math.round(performance.now() - startedAt);
    if (isLost(outcome)) {
      context.lose({ url: chosen, any: worker === null, refused: isRefused(outcome) });
    }
    const kept = keptAt({ worker: chosen, execution: sentAs }, left.kept);
    end = await finishCall(call, outcome, { durationMs, files, beside, left, kept }, context);
  };
  const copy = maskedOutput(secrets, (bytes) => {
    tail.push(bytes);
    return output.append(call, bytes);
  });
  const sendable = secrets.withValues(request);
  const refused = sendable.ok ? secretInArguments(request, secrets) : sendable.outcome;
  if (!sendable.ok || refused) {
    const outcome = refused ?? { kind: "cancelled" };
    await settled(outcome, nothingLeft);
    return { outcome, durationMs, output: tail.bytes(), outputBytes: 0 };
  }
  const bring = bringSources(request, sources, () => ({
    ...builds.origin,
    task: `${attempt.stage}.${attempt.task}`,
  }));
  // Folders of its own are not made ahead; nor is the sandbox of a build, which may need none.
  if (!request.build?.only && !request.filesBuild && !mountsCaches(request))
    context.expectations.called(attempt.stage, worker, request);
  const outcome = await workers.execute(
    {
      worker,
      avoid,
      ...(bring && { bring }),
    },
    { ...sendable.request, ...(keepFailedMs !== undefined && { keepFailedMs }) },
    {
      chosen: sent,
      started: (sandbox) => {
        const { command, image } = request;
        emit({
          type: "call-started",
          at: now(),
          ...attempt,
          call,
          command,
          image,
          worker: chosen,
          sandbox,
          ...toldOptions(request),
        });
      },
      output: copy.write,
      files: files.take,
      ...(services.length > 0 && { service: beside.take }),
      settled,
    },
    signal,
  );
  return { outcome: end ?? outcome, durationMs, output: tail.bytes(), outputBytes: tail.total };
}

/** Takes up again what an earlier boss had sent; `request` comes when the task's code has made it again. Never rejects. */
export async function resumeCall(
  { call, worker, any, execution, services, sentAt, started }: LoggedCall,
  request: Promise<CallRequest>,
  signal: AbortSignal,
  context: CallContext,
): Promise<CallResult> {
  const { attempt, output, secrets, emit, now, workers } = context;
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
  const files = new CallFiles({ call, ...context });
  const beside = new CallServices(services, { call, ...context });
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
      ...(services.length > 0 && { service: beside.take }),
      settled: async (settled, left) => {
        void copy.release();
        durationMs = Math.max(0, now() - sentAt);
        const kept = keptAt({ worker, execution }, left.kept);
        end = await finishCall(call, settled, { durationMs, files, beside, left, kept }, context);
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

/** Gives the outcome that counts: tests that have failed make a command red that says it has passed. */
async function finishCall(
  call: number,
  given: Outcome,
  {
    durationMs,
    files,
    beside,
    left,
    kept,
  }: {
    readonly durationMs: number;
    readonly files: CallFiles;
    readonly beside: CallServices;
    readonly left: LeftBehind;
    readonly kept: KeptSandbox | KeptNot | null;
  },
  { attempt, output, emit, now, builds }: CallContext,
): Promise<Outcome> {
  let outcome = given;
  let services: ServiceEnded[] | null = null;
  try {
    await output.flush();
    const collecting = files.finish(left.files);
    const found = collecting && (await collecting);
    if (found) emit({ type: "call-files", at: now(), ...attempt, call, files: found });
    const ending = beside.finish(left.services);
    services = ending && (await ending);
    const failedTests = found?.tests?.failed ?? 0;
    const known = files.named(withKnownOrigin(given, builds));
    outcome = known.kind === "exited" && failedTests > 0 ? { ...known, failedTests } : known;
  } catch (error) {
    // What it left may say that it is red.
    if (given.kind === "exited" && given.exitCode === 0)
      outcome = {
        kind: "faulted",
        message: `what it has left was lost: ${asError(error).message}`,
      };
  }
  const ended = { outcome, durationMs, ...(services && { services }), ...(kept && { kept }) };
  emit({ type: "call-finished", at: now(), ...attempt, call, ...ended });
  return outcome;
}

function keptAt(
  where: Pick<KeptSandbox, "worker" | "execution">,
  note: KeptNote | null,
): KeptSandbox | KeptNot | null {
  if (!note || "problem" in note) return note;
  return { ...where, id: note.id, until: note.until ?? 0 };
}

export function isLost(outcome: Outcome): boolean {
  return outcome.kind === "faulted" && outcome.workerLost === true;
}

/** A worker that is told to stop refuses what comes; that says nothing of the next one. */
export function isRefused(outcome: CallOutcome): boolean {
  return outcome.kind === "faulted" && outcome.notStarted === true;
}
