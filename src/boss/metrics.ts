// What a monitoring system asks a boss for. Counted by reading the event log like any other reader; nothing
// on the way of a task knows of it.

import {
  counter,
  type Family,
  gauge,
  Histogram,
  openMetricsText,
  Tally,
} from "../lib/openmetrics.js";
import { ProcessMetrics } from "../lib/process-metrics.js";
import type { LoggedEvent } from "../model/events.js";
import { taskKey } from "../model/pipeline.js";
import type { Run } from "../model/run.js";
import type { WorkerView } from "../wire/boss.js";

export interface MetricsSources {
  readonly liveRuns: () => readonly Run[];
  readonly workers: () => readonly WorkerView[];
  readonly outputBytes: () => number;
  /** Of event streams, at this moment. */
  readonly readers: () => number;
  /** Spans by what became of them; null where none are sent. */
  readonly spans: () => { readonly sent: number; readonly dropped: number } | null;
}

/** Seconds. Tests wait from no time at all to an hour. */
const waitBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600];
const startBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300];

const ends = ["passed", "failed", "errored", "cancelled"];

export class Metrics {
  readonly #sources: MetricsSources;
  readonly #runs = new Tally("verdict", ends);
  readonly #attempts = new Tally("status", ends);
  readonly #queueWait = new Histogram(waitBuckets);
  readonly #startLatency = new Histogram(startBuckets);
  /** By run, then task, so that what a run left goes with its end. */
  readonly #queuedAt = new Map<number, Map<string, number>>();
  readonly #startedAt = new Map<number, Map<string, number>>();
  #retries = 0;
  readonly #process = new ProcessMetrics();

  constructor(sources: MetricsSources) {
    this.#sources = sources;
  }

  /** Ends with the events. */
  async count(events: AsyncIterable<LoggedEvent>): Promise<void> {
    for await (const { run, event } of events) {
      switch (event.type) {
        case "run-finished":
          this.#runs.add(event.verdict);
          this.#queuedAt.delete(run);
          this.#startedAt.delete(run);
          break;
        case "task-queued":
          remember(this.#queuedAt, run, taskKey(event), event.at);
          break;
        case "attempt-started": {
          const queuedAt = take(this.#queuedAt, run, taskKey(event));
          if (queuedAt !== undefined) this.#queueWait.observe((event.at - queuedAt) / 1000);
          remember(this.#startedAt, run, taskKey(event), event.at);
          break;
        }
        case "call-started": {
          // Of an attempt's first command; what it does between two of them is its own affair.
          const startedAt = take(this.#startedAt, run, taskKey(event));
          if (startedAt !== undefined) this.#startLatency.observe((event.at - startedAt) / 1000);
          break;
        }
        case "attempt-finished":
          this.#attempts.add(event.end.status);
          if (event.retried) this.#retries += 1;
          break;
      }
    }
  }

  text(): string {
    const sources = this.#sources;
    const spans = sources.spans();
    return openMetricsText([
      this.#runs.counter("bettertest_runs", "Runs that have ended, by verdict"),
      this.#runsUnderWay(),
      this.#tasks().gauge("bettertest_tasks", "Tasks of runs under way, by state"),
      this.#attempts.counter("bettertest_attempts", "Attempts of tasks that have ended, by how"),
      counter("bettertest_attempts_retried", "Attempts that another one followed", this.#retries),
      this.#queueWait.family(
        "bettertest_queue_wait_seconds",
        "From a task's turn in its run to its start",
      ),
      this.#startLatency.family(
        "bettertest_start_latency_seconds",
        "From an attempt's start to that of its first command",
      ),
      counter("bettertest_output_bytes", "Bytes that tasks have printed", sources.outputBytes()),
      this.#workers().gauge("bettertest_workers", "Workers, by connection"),
      this.#slots(),
      gauge("bettertest_sse_readers", "Open event streams", sources.readers()),
      ...(spans
        ? [
            counter("bettertest_spans_sent", "Spans that the trace receiver took", spans.sent),
            counter(
              "bettertest_spans_dropped",
              "Spans that were given up: the receiver was away for too long, or refused them",
              spans.dropped,
            ),
          ]
        : []),
      ...this.#process.families(),
    ]);
  }

  close(): void {
    this.#process.close();
  }

  #runsUnderWay(): Family {
    const tally = new Tally("status", ["queued", "running"]);
    for (const { status } of this.#sources.liveRuns()) tally.add(status);
    return tally.gauge("bettertest_runs_under_way", "Runs that have not ended, by state");
  }

  #tasks(): Tally {
    const tally = new Tally("status", ["waiting", "queued", "running", ...ends, "skipped"]);
    for (const run of this.#sources.liveRuns()) {
      for (const stage of run.stages) for (const task of stage.tasks) tally.add(task.status);
    }
    return tally;
  }

  #workers(): Tally {
    const tally = new Tally("status", ["connected", "connecting", "lost"]);
    for (const worker of this.#sources.workers()) tally.add(worker.status);
    return tally;
  }

  #slots(): Family {
    const connected = this.#sources.workers().filter(({ status }) => status === "connected");
    const slots = connected.reduce((sum, { info }) => sum + (info?.slots ?? 0), 0);
    return gauge("bettertest_slots", "Commands that the connected workers take at once", slots);
  }
}

function remember(
  times: Map<number, Map<string, number>>,
  run: number,
  task: string,
  at: number,
): void {
  const ofRun = times.get(run) ?? new Map<string, number>();
  times.set(run, ofRun);
  ofRun.set(task, at);
}

function take(
  times: Map<number, Map<string, number>>,
  run: number,
  task: string,
): number | undefined {
  const at = times.get(run)?.get(task);
  times.get(run)?.delete(task);
  return at;
}
