// What the log of a run says that a boss which comes back must know: how often each task was tried, and the
// calls of the attempts that were under way, in the order in which they were made and answered.

import type { CallFinished, CallSent, LoggedEvent } from "../../model/events.js";
import { type TaskRef, taskKey } from "../../model/pipeline.js";
import type { Store } from "../store/store.js";
import { isRefused } from "./call-end.js";

export interface LoggedCall {
  readonly call: number;
  readonly worker: string;
  readonly execution: string;
  /** It named no worker. */
  readonly any: boolean;
  readonly digest: string;
  readonly printedBytes: number;
  /** By name. */
  readonly services: readonly string[];
  readonly sentAt: number;
  /** Its sandbox was told. */
  started: boolean;
  finished: Pick<CallFinished, "outcome" | "durationMs"> | null;
}

export interface Step {
  readonly what: "sent" | "finished";
  readonly call: LoggedCall;
  readonly at: number;
}

/** Of an attempt that has not ended. */
export interface AttemptLog {
  readonly startedAt: number;
  readonly steps: readonly Step[];
}

export interface TaskPast {
  /** All that were started. */
  readonly attempts: number;
  readonly redTries: number;
  readonly lostTries: number;
  readonly refusals: number;
  readonly open: AttemptLog | null;
}

export const noPast: TaskPast = { attempts: 0, redTries: 0, lostTries: 0, refusals: 0, open: null };

export interface RunPast {
  readonly task: (ref: TaskRef) => TaskPast;
  /** Calls that may still run on their worker. */
  readonly inFlight: readonly LoggedCall[];
  /** How often a boss came back to it without that anything happened since. */
  readonly resumedInVain: number;
}

const batchSize = 1000;

export function readPast(store: Store, run: number): RunPast {
  const tasks = new Map<string, GrowingPast>();
  let resumedInVain = 0;
  for (const { event } of eventsOf(store, run)) {
    resumedInVain = event.type === "run-resumed" ? resumedInVain + 1 : 0;
    if (!("task" in event)) continue;
    const key = taskKey(event);
    const past = tasks.get(key) ?? {
      attempts: 0,
      redTries: 0,
      lostTries: 0,
      refusals: 0,
      open: null,
    };
    tasks.set(key, past);
    switch (event.type) {
      case "attempt-started":
        past.attempts = event.attempt;
        past.open = { startedAt: event.at, steps: [] };
        break;
      case "call-sent":
        past.open?.steps.push({ what: "sent", at: event.at, call: loggedCall(event, event.at) });
        break;
      case "call-started": {
        const call = past.open && sentCall(past.open, event.call);
        if (call) call.started = true;
        break;
      }
      case "call-finished": {
        const call = past.open && sentCall(past.open, event.call);
        // One that never reached a worker was not sent.
        if (!call) break;
        call.finished = event;
        past.open?.steps.push({ what: "finished", at: event.at, call });
        break;
      }
      case "attempt-finished": {
        const lastCall = past.open?.steps.at(-1)?.call.finished;
        past.open = null;
        if (!event.retried || event.byBoss) break;
        if (event.end.status === "failed") past.redTries += 1;
        else if (lastCall && isRefused(lastCall.outcome)) past.refusals += 1;
        else past.lostTries += 1;
        break;
      }
    }
  }
  return {
    task: (ref) => tasks.get(taskKey(ref)) ?? noPast,
    inFlight: [...tasks.values()].flatMap(({ open }) =>
      (open?.steps ?? []).flatMap(({ what, call }) =>
        what === "sent" && !call.finished ? [call] : [],
      ),
    ),
    resumedInVain,
  };
}

interface GrowingPast {
  attempts: number;
  redTries: number;
  lostTries: number;
  refusals: number;
  open: { readonly startedAt: number; readonly steps: Step[] } | null;
}

function loggedCall(sent: CallSent, sentAt: number): LoggedCall {
  const { call, worker, execution, any = false, digest, printedBytes, services = [] } = sent;
  return {
    call,
    worker,
    execution,
    any,
    digest,
    printedBytes,
    services: services.map(({ name }) => name),
    sentAt,
    started: false,
    finished: null,
  };
}

function sentCall(open: { readonly steps: readonly Step[] }, call: number): LoggedCall | undefined {
  return open.steps.find((step) => step.what === "sent" && step.call.call === call)?.call;
}

function* eventsOf(store: Store, run: number): Generator<LoggedEvent> {
  for (let after = 0; ; ) {
    const batch = store.events({ run, after, limit: batchSize });
    yield* batch;
    if (batch.length < batchSize) return;
    after = batch.at(-1)!.seq;
  }
}
