// The end of a call: what its command has left is kept, and then its outcome is told.

import { asError } from "../../lib/as-error.js";
import type { CallOutcome, KeptNot, KeptSandbox } from "../../model/events.js";
import type { ServiceEnded } from "../../model/service.js";
import type { KeptNote, Outcome } from "../../wire/worker.js";
import type { LeftBehind } from "../../wire/worker-client.js";
import { withKnownOrigin } from "./call-builds.js";
import type { CallContext } from "./call-execution.js";
import type { CallFiles } from "./call-files.js";
import type { CallServices } from "./call-services.js";

interface CallAtEnd {
  readonly call: number;
  readonly durationMs: number;
  readonly files: CallFiles;
  /** Null: none runs beside it. */
  readonly beside: CallServices | null;
  readonly left: LeftBehind;
  readonly at: Pick<KeptSandbox, "worker" | "execution">;
}

/** Gives the outcome that counts: tests that have failed make a command red that says it has passed. */
export async function finishCall(
  given: Outcome,
  { call, durationMs, files, beside, left, at }: CallAtEnd,
  { attempt, output, deps }: CallContext,
): Promise<Outcome> {
  const { emit, now, builds } = deps;
  let outcome = given;
  let services: ServiceEnded[] | null = null;
  try {
    await output.flush();
    const collecting = files.finish(left.files);
    const found = collecting && (await collecting);
    if (found) emit({ type: "call-files", at: now(), ...attempt, call, files: found });
    services = beside && (await beside.finish(left.services));
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
  const kept = keptAt(at, left.kept);
  emit({
    type: "call-finished",
    at: now(),
    stage: attempt.stage,
    task: attempt.task,
    attempt: attempt.attempt,
    call,
    outcome,
    durationMs,
    ...(services && { services }),
    ...(kept && { kept }),
  });
  return outcome;
}

function keptAt(where: CallAtEnd["at"], note: KeptNote | null): KeptSandbox | KeptNot | null {
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
