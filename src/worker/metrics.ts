// What a monitoring system asks a worker for.

import { counter, gauge, Histogram, openMetricsText, Tally } from "../lib/openmetrics.js";
import { ProcessMetrics } from "../lib/process-metrics.js";
import type { Outcome, WorkerInfo } from "../wire/worker.js";

/** Seconds: a container takes a fraction of one, the pull of an image minutes. */
const startBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300];

const outcomes = [
  "exited",
  "timed-out",
  "out-of-memory",
  "cancelled",
  "faulted",
] satisfies Outcome["kind"][];

export class WorkerMetrics {
  readonly #executions = new Tally("outcome", outcomes);
  readonly #sandboxStart = new Histogram(startBuckets);
  readonly #process = new ProcessMetrics();
  #engineErrors = 0;
  #outputBytes = 0;

  /** Its sandbox is there, so long after its turn had come. */
  started(afterMs: number): void {
    this.#sandboxStart.observe(afterMs / 1000);
  }

  finished(outcome: Outcome, outputBytes: number): void {
    this.#executions.add(outcome.kind);
    this.#outputBytes += outputBytes;
  }

  /** The engine failed, whatever then became of the execution. */
  engineFailed(): void {
    this.#engineErrors += 1;
  }

  text({ slots, running, queued }: WorkerInfo): string {
    return openMetricsText([
      gauge("bettertest_worker_slots", "Commands that run at once, at most", slots),
      gauge("bettertest_worker_running", "Commands that hold a slot", running),
      gauge("bettertest_worker_queued", "Commands that wait for a slot", queued),
      this.#executions.counter(
        "bettertest_worker_executions",
        "Commands that have ended, by outcome",
      ),
      this.#sandboxStart.family(
        "bettertest_worker_sandbox_start_seconds",
        "From a command's turn to its sandbox, pulls of images included",
      ),
      counter(
        "bettertest_worker_engine_errors",
        "Sandboxes that could not be made, or were lost",
        this.#engineErrors,
      ),
      counter(
        "bettertest_worker_output_bytes",
        "Bytes that commands have printed, of those that have ended",
        this.#outputBytes,
      ),
      ...this.#process.families(),
    ]);
  }

  close(): void {
    this.#process.close();
  }
}
