// What a serving boss logs of its runs and workers. A reader like any other.

import type { Log } from "../lib/log.js";
import { formatDuration } from "../lib/units.js";
import type { LoggedEvent } from "../model/events.js";
import { describeFault } from "../model/failure.js";
import { taskLabel } from "../model/pipeline.js";
import type { WorkerView } from "../wire/boss.js";
import type { Engine } from "./engine.js";

/** Until the signal is aborted. */
export function logActivity(engine: Engine, log: Log, signal: AbortSignal): void {
  const after = engine.store.lastSeq();
  void logRuns(engine, engine.log.follow({ after, signal }), log);
  void logWorkers(engine, log, signal);
}

async function logRuns(engine: Engine, events: AsyncIterable<LoggedEvent>, log: Log) {
  for await (const { run, event } of events) {
    if (event.type === "run-created") {
      const { pipelineName: pipeline, trigger } = event;
      log(`run ${run} of ${pipeline} was asked for by ${trigger}`, {
        fields: { run, pipeline, trigger },
      });
    } else if (event.type === "cancel-requested") {
      log(`run ${run} is being cancelled by ${event.by}`, { fields: { run, by: event.by } });
    } else if (event.type === "pin-changed") {
      log(`run ${run} is ${event.pinned ? "pinned" : "not pinned any more"} by ${event.by}`, {
        fields: { run, by: event.by, pinned: event.pinned },
      });
    } else if (event.type === "attempt-finished" && event.end.status === "errored") {
      const { stage, task, attempt, end, retried = false } = event;
      const fault = describeFault(end.fault);
      log(`run ${run}: attempt ${attempt} of ${taskLabel(event)} errored: ${fault}`, {
        level: "warn",
        fields: { run, stage, task, attempt, fault, retried },
      });
    } else if (event.type === "run-finished") {
      const { verdict, fault } = event;
      const state = engine.store.run(run);
      // A clock that was set back in between must not make it a time before the start.
      const durationMs = Math.max(0, event.at - (state?.request.at ?? event.at));
      const reason = fault ? `: ${describeFault(fault)}` : "";
      log(`run ${run} ${verdict} after ${formatDuration(durationMs)}${reason}`, {
        level: verdict === "errored" ? "error" : "info",
        fields: { run, verdict, durationMs, ...(fault && { fault: describeFault(fault) }) },
      });
    }
  }
}

async function logWorkers(engine: Engine, log: Log, signal: AbortSignal) {
  const known = new Map<string, WorkerView["status"]>();
  for await (const _ of engine.changes.changes(signal)) {
    for (const { url, status, problem } of engine.workers.views()) {
      if (known.get(url) === status || (status === "connecting" && problem === null)) continue;
      known.set(url, status);
      const words = { connected: "is connected", connecting: "cannot be reached", lost: "is lost" };
      log(`worker ${url} ${words[status]}${problem === null ? "" : `: ${problem}`}`, {
        level: status === "connected" ? "info" : "warn",
        fields: { worker: url, status },
      });
    }
  }
}
