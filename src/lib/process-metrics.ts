// What every process of bettertest says of itself.

import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Family, gauge } from "./openmetrics.js";

const resolutionMs = 20;

export class ProcessMetrics {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });

  families(): Family[] {
    const { rss, heapUsed } = process.memoryUsage();
    // It wakes the process fifty times a second: from the first time on that somebody asks.
    this.#delay.enable();
    // Node counts the whole time between two ticks of its timer.
    const lagMs = this.#delay.count > 0 ? this.#delay.percentile(99) / 1e6 - resolutionMs : 0;
    // Of a percentile since the start, nobody would see a rise today.
    this.#delay.reset();
    return [
      gauge(
        "bettertest_event_loop_lag_seconds",
        "How late timers fire, 99th percentile since this was last asked for",
        Math.max(0, lagMs) / 1000,
      ),
      gauge("process_resident_memory_bytes", "Memory of this process", rss),
      gauge("nodejs_heap_used_bytes", "Memory of JavaScript values in this process", heapUsed),
      gauge(
        "process_start_time_seconds",
        "When this process started, in seconds since 1970",
        Date.now() / 1000 - process.uptime(),
      ),
    ];
  }

  close(): void {
    this.#delay.disable();
  }
}
