// From the events of runs to spans: run > stage > task > attempt > call.
//
// Names of stages and tasks are in a span, and numbers. What a pipedef's author or a program wrote is not:
// a command or a message may hold a secret, and who reads traces need not be who may read output.
//
// Ids are made from the run's beginning and a span's place in it, so those of a run are the same whichever
// process of the boss tells them.

import { createHash } from "node:crypto";
import type { CallOutcome, LoggedEvent, RunCreated } from "../../model/events.js";
import type { TaskEnd } from "../../model/failure.js";

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Absent: the run's. */
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: SpanAttributes;
  readonly status: "unset" | "ok" | "error";
}

interface OpenSpan {
  readonly place: readonly string[];
  readonly name: string;
  readonly startedAt: number;
  readonly attributes: SpanAttributes;
  /** Places of those that are open right inside it. */
  readonly inside: Set<string>;
}

interface Trace {
  readonly id: string;
  /** By place. */
  readonly open: Map<string, OpenSpan>;
}

interface SpanEnd {
  readonly at: number;
  readonly status?: Span["status"];
  readonly attributes?: SpanAttributes;
}

export class Spans {
  readonly #traces = new Map<number, Trace>();

  /** The spans that end with this event. */
  take({ run, event }: LoggedEvent): Span[] {
    if (event.type === "run-created") {
      const trace = { id: traceIdOf(run, event), open: new Map<string, OpenSpan>() };
      this.#traces.set(run, trace);
      open(trace, [], `run ${event.pipelineName}`, event.at, {
        "bettertest.run": run,
        "bettertest.pipeline": event.pipelineName,
        "bettertest.trigger": event.trigger,
      });
      return [];
    }
    const trace = this.#traces.get(run);
    if (!trace) return [];
    switch (event.type) {
      case "stage-started":
        open(trace, [event.stage], event.stage, event.at, { "bettertest.stage": event.stage });
        return [];
      case "stage-finished":
        return close(trace, [event.stage], event);
      case "task-queued":
        open(trace, [event.stage, event.task], event.task, event.at, namesOf(event));
        return [];
      case "task-skipped":
        return close(trace, [event.stage, event.task], {
          at: event.at,
          attributes: { "bettertest.status": "skipped" },
        });
      case "attempt-started":
        open(trace, attemptPlace(event), `attempt ${event.attempt}`, event.at, {
          ...namesOf(event),
          "bettertest.attempt": event.attempt,
        });
        return [];
      case "call-started":
        open(trace, callPlace(event), `call ${event.call}`, event.at, {
          ...namesOf(event),
          "bettertest.attempt": event.attempt,
          "bettertest.call": event.call,
          "bettertest.image": event.image,
          "bettertest.worker": withoutLogin(event.worker),
          "bettertest.sandbox": event.sandbox,
        });
        return [];
      case "call-finished":
        return close(trace, callPlace(event), { at: event.at, ...ofOutcome(event.outcome) });
      case "attempt-finished": {
        const end = { at: event.at, ...ofTaskEnd(event.end) };
        const attempt = close(trace, attemptPlace(event), end);
        if (event.retried) return attempt;
        return [...attempt, ...close(trace, [event.stage, event.task], end)];
      }
      case "run-finished": {
        this.#traces.delete(run);
        return close(trace, [], { at: event.at, ...ofVerdict(event.verdict) });
      }
      default:
        return [];
    }
  }
}

function open(
  trace: Trace,
  place: readonly string[],
  name: string,
  startedAt: number,
  attributes: SpanAttributes,
): void {
  const key = keyOf(place);
  // A boss that goes on with a run tells some of its beginnings again; the first one counts.
  if (trace.open.has(key)) return;
  trace.open.set(key, { place, name, startedAt, attributes, inside: new Set() });
  around(trace, place)?.inside.add(key);
}

/** The innermost open one that this place is in. */
function around(trace: Trace, place: readonly string[]): OpenSpan | undefined {
  for (let length = place.length - 1; length >= 0; length--) {
    const found = trace.open.get(keyOf(place.slice(0, length)));
    if (found) return found;
  }
  return undefined;
}

/** The span of that place, and before it those inside that nothing else has ended. */
function close(trace: Trace, place: readonly string[], end: SpanEnd): Span[] {
  const key = keyOf(place);
  const span = trace.open.get(key);
  if (!span) return [];
  around(trace, place)?.inside.delete(key);
  return closeWithin(trace, span, end);
}

function closeWithin(trace: Trace, span: OpenSpan, end: SpanEnd): Span[] {
  trace.open.delete(keyOf(span.place));
  const inside = [...span.inside]
    .reverse()
    .flatMap((key) => closeWithin(trace, trace.open.get(key)!, { at: end.at }));
  return [...inside, spanOf(trace, span, end)];
}

function spanOf(trace: Trace, span: OpenSpan, { at, status = "unset", attributes }: SpanEnd): Span {
  const { place, name, startedAt } = span;
  return {
    traceId: trace.id,
    spanId: spanIdOf(trace, place),
    ...(place.length > 0 && { parentSpanId: spanIdOf(trace, place.slice(0, -1)) }),
    name,
    startedAt,
    // A clock that was set back in between must not make a span that receivers refuse.
    endedAt: Math.max(startedAt, at),
    attributes: { ...span.attributes, ...attributes },
    status,
  };
}

interface TaskName {
  readonly stage: string;
  readonly task: string;
}

function namesOf({ stage, task }: TaskName): SpanAttributes {
  return { "bettertest.stage": stage, "bettertest.task": task };
}

function attemptPlace({ stage, task, attempt }: TaskName & { readonly attempt: number }): string[] {
  return [stage, task, String(attempt)];
}

function callPlace(ref: TaskName & { readonly attempt: number; readonly call: number }): string[] {
  return [...attemptPlace(ref), String(ref.call)];
}

function keyOf(place: readonly string[]): string {
  return place.map((part) => `${part}\0`).join("");
}

function traceIdOf(run: number, { at, pipedef }: RunCreated): string {
  return hashOf(`${pipedef}\0${run}\0${at}`).slice(0, 32);
}

function spanIdOf(trace: Trace, place: readonly string[]): string {
  return hashOf(`${trace.id}\0${keyOf(place)}`).slice(0, 16);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function withoutLogin(url: string): string {
  if (!URL.canParse(url)) return url;
  const parsed = new URL(url);
  return `${parsed.protocol}//${parsed.host}${parsed.pathname === "/" ? "" : parsed.pathname}`;
}

function ofVerdict(status: TaskEnd["status"]): Omit<SpanEnd, "at"> {
  const isError = status === "failed" || status === "errored";
  return {
    status: status === "passed" ? "ok" : isError ? "error" : "unset",
    attributes: { "bettertest.status": status },
  };
}

function ofTaskEnd(end: TaskEnd): Omit<SpanEnd, "at"> {
  const plain = ofVerdict(end.status);
  if (end.status !== "failed") return plain;
  return {
    ...plain,
    attributes: { ...plain.attributes, "bettertest.failure": end.failure.kind },
  };
}

function ofOutcome(outcome: CallOutcome): Omit<SpanEnd, "at"> {
  const attributes = { "bettertest.outcome": outcome.kind };
  if (outcome.kind === "cancelled") return { attributes };
  if (outcome.kind !== "exited") return { status: "error", attributes };
  return {
    status: outcome.exitCode === 0 ? "ok" : "error",
    attributes: { ...attributes, "process.exit.code": outcome.exitCode },
  };
}
