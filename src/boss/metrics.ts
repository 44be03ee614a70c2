// What a monitoring system asks for, in OpenMetrics text. Counted by reading the event log like any other
// reader; nothing on the way of a task knows of it.

import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { LoggedEvent } from "../model/events.js";
import { taskKey } from "../model/pipeline.js";
import type { Run, TaskStatus } from "../model/run.js";
import type { WorkerView } from "../wire/boss.js";

export interface MetricsSources {
  readonly liveRuns: () => readonly Run[];
  readonly workers: () => readonly WorkerView[];
  readonly outputBytes: () => number;
}

/** Seconds. Tests wait from no time at all to an hour. */
const waitBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600];

export class Metrics {
  readonly #sources: MetricsSources;
  readonly #runs = new Map<string, number>();
  readonly #attempts = new Map<string, number>();
  readonly #queueWait = new Histogram(waitBuckets);
  readonly #queuedAt = new Map<string, number>();
  readonly #lag: IntervalHistogram;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.#lag = monitorEventLoopDelay({ resolution: 20 });
    this.#lag.enable();
  }

  /** Ends with the events. */
  async count(events: AsyncIterable<LoggedEvent>): Promise<void> {
    for await (const { run, event } of events) {
      switch (event.type) {
        case "run-finished":
          add(this.#runs, event.verdict);
          break;
        case "task-queued":
          this.#queuedAt.set(`${run} ${taskKey(event)}`, event.at);
          break;
        case "task-skipped":
          this.#queuedAt.delete(`${run} ${taskKey(event)}`);
          break;
        case "attempt-started": {
          const key = `${run} ${taskKey(event)}`;
          const queuedAt = this.#queuedAt.get(key);
          if (queuedAt !== undefined) this.#queueWait.observe((event.at - queuedAt) / 1000);
          this.#queuedAt.delete(key);
          break;
        }
        case "attempt-finished":
          add(this.#attempts, event.end.status);
          break;
      }
    }
  }

  text(): string {
    const memory = process.memoryUsage();
    return [
      ...family(
        "bettertest_runs",
        "counter",
        "Runs that have ended, by verdict",
        byLabel("verdict", this.#runs, "_total"),
      ),
      ...family(
        "bettertest_attempts",
        "counter",
        "Attempts of tasks that have ended, by how",
        byLabel("status", this.#attempts, "_total"),
      ),
      ...family(
        "bettertest_tasks",
        "gauge",
        "Tasks of runs under way, by state",
        byLabel("status", this.#liveTasks()),
      ),
      ...family(
        "bettertest_queue_wait_seconds",
        "histogram",
        "From queued to started",
        this.#queueWait.lines(),
      ),
      ...family("bettertest_output_bytes", "counter", "Bytes that tasks have printed", [
        `_total ${this.#sources.outputBytes()}`,
      ]),
      ...family(
        "bettertest_workers",
        "gauge",
        "Workers, by connection",
        byLabel("status", this.#workers()),
      ),
      ...family(
        "bettertest_event_loop_lag_seconds",
        "gauge",
        "99th percentile of how late timers fire",
        [` ${this.#lag.percentile(99) / 1e9}`],
      ),
      ...family("process_resident_memory_bytes", "gauge", "Memory of the boss", [` ${memory.rss}`]),
      "# EOF\n",
    ].join("\n");
  }

  close(): void {
    this.#lag.disable();
  }

  #liveTasks(): Map<string, number> {
    const count = new Map<string, number>();
    for (const state of ["waiting", "queued", "running"] satisfies TaskStatus[])
      count.set(state, 0);
    for (const run of this.#sources.liveRuns()) {
      for (const stage of run.stages) for (const task of stage.tasks) add(count, task.status);
    }
    return count;
  }

  #workers(): Map<string, number> {
    const count = new Map([
      ["connected", 0],
      ["connecting", 0],
      ["lost", 0],
    ]);
    for (const worker of this.#sources.workers()) add(count, worker.status);
    return count;
  }
}

class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #total = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#sum += value;
    this.#total += 1;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.#counts[bucket]! += 1;
  }

  lines(): string[] {
    let below = 0;
    const buckets = this.#bounds.map((bound, index) => {
      below += this.#counts[index]!;
      return `_bucket{le="${bound}"} ${below}`;
    });
    return [
      ...buckets,
      `_bucket{le="+Inf"} ${this.#total}`,
      `_sum ${this.#sum}`,
      `_count ${this.#total}`,
    ];
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function byLabel(label: string, counts: ReadonlyMap<string, number>, suffix = ""): string[] {
  return [...counts].map(([value, count]) => `${suffix}{${label}="${value}"} ${count}`);
}

function family(name: string, type: string, help: string, samples: readonly string[]): string[] {
  return [
    `# TYPE ${name} ${type}`,
    `# HELP ${name} ${help}`,
    ...samples.map((sample) => name + sample),
  ];
}
