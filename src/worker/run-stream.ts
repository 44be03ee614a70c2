// POST /run, the contract of old clients: started, log for each line, then one of done or error.

import { encodeSse } from "../lib/sse.js";
import { formatBytes, formatDuration } from "../lib/units.js";
import type { Outcome } from "../wire/worker.js";
import type { Execution } from "./execution.js";
import type { LogEvents } from "./log-events.js";

export async function* runStream(
  execution: Execution,
  lines: LogEvents,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let outcome: Outcome | null = null;
  // Progress of a pull is output from before the start; old clients get it after, as they expect.
  for await (const [, event] of execution.follow(0, signal)) {
    if (event.type === "started") {
      yield encodeSse({ event: "started", data: event.sandbox });
      break;
    }
    if (event.type === "finished") outcome = event.outcome;
  }
  for await (const chunk of execution.followOutput(0, signal)) {
    const text = lines.push(chunk);
    if (text !== "") yield text;
  }
  const rest = lines.end();
  if (rest !== "") yield rest;
  if (!outcome) {
    for await (const [, event] of execution.follow(0, signal)) {
      if (event.type === "finished") outcome = event.outcome;
    }
  }
  if (outcome) yield lastEvent(outcome);
}

function lastEvent(outcome: Outcome): string {
  return outcome.kind === "exited"
    ? encodeSse({ event: "done", data: String(outcome.exitCode) })
    : encodeSse({ event: "error", data: describeOutcome(outcome) });
}

function describeOutcome(outcome: Exclude<Outcome, { kind: "exited" }>): string {
  switch (outcome.kind) {
    case "timed-out":
      return `timed out after ${formatDuration(outcome.afterMs)}`;
    case "out-of-memory":
      return outcome.limitBytes === null
        ? "out of memory"
        : `out of memory: the limit was ${formatBytes(outcome.limitBytes)}`;
    case "cancelled":
      return "cancelled";
    case "faulted":
      return outcome.hint ? `${outcome.message}\n${outcome.hint}` : outcome.message;
    default:
      return outcome satisfies never;
  }
}
