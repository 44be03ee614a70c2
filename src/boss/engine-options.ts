// What a boss can be told, and what holds where it is not told.

import type { HostPool } from "../../runtime/host/open-host.js";
import type { HistoryOptions } from "./history/history.js";
import type { RetentionLimits } from "./history/retention.js";
import type { WorkerCredentials } from "./known-workers.js";
import { noSecrets, type Secrets } from "./secrets/secrets.js";

export interface EngineOptions {
  /** Paths of pipedefs, or of folders that hold some. */
  readonly pipedefs: readonly string[];
  /** URLs of the boss's own workers. */
  readonly workers: readonly string[];
  /** Stands in for http://localhost:9009 where nothing answers there. */
  readonly localStandIn?: string;
  readonly workerCredentials?: WorkerCredentials;
  readonly history: HistoryOptions;
  readonly hostHome: "thread" | "process";
  /** What process.env holds in a pipedef. */
  readonly env: Readonly<Record<string, string>>;
  readonly pipedefMemoryBytes: number;
  readonly stallTimeoutMs: number;
  /** What makes the next scan of a working tree quick; absent: nothing outlives the engine. */
  readonly cacheFolder?: string;
  /** How long a lost worker is waited for, and keeps what it runs for us. */
  readonly workerLeaseMs: number;
  /** How often a task is tried again whose worker was lost. */
  readonly infraRetries: number;
  /** What tasks may ask for, and what is masked in all that is kept. */
  readonly secrets: Secrets;
  readonly concurrentRuns: number;
  /** Of those that wait for their turn. */
  readonly maxQueuedRuns: number;
  /** What is kept of runs that have ended. */
  readonly retention: RetentionLimits;
  /** Of one attempt; of more, the beginning and the end are kept. */
  readonly maxOutputBytes: number;
  /** Most that is kept of the files that one command has left. */
  readonly maxArtifactBytes: number;
  /** How long sandboxes of red commands are kept where a run does not say; absent: as the workers do. */
  readonly keepFailedMs?: number;
  /** Reload pipedefs when their files change. */
  readonly watch: boolean;
  /**
   * For a program that runs a pipedef once: the load that finds its tasks also serves the first run, and
   * nothing is kept warm for a second one.
   */
  readonly once: boolean;
  /** For a program that has pipedefs loaded right before each run: that load serves the run. */
  readonly reloads?: boolean;
  /** Homes of pipedefs that are started already; the engine closes them. */
  readonly homes?: HostPool;
  /** Where traces of runs are sent: an OTLP/HTTP receiver. */
  readonly otlp?: string;
  readonly log: (line: string) => void;
}

export const engineDefaults = {
  history: { kind: "memory" },
  hostHome: "thread",
  env: {},
  pipedefMemoryBytes: 512 * 2 ** 20,
  stallTimeoutMs: 30_000,
  workerLeaseMs: 60_000,
  infraRetries: 2,
  secrets: noSecrets,
  concurrentRuns: 4,
  maxQueuedRuns: 1000,
  retention: { keepRuns: 1000, keepDays: Number.POSITIVE_INFINITY, maxDataBytes: 20 * 2 ** 30 },
  maxOutputBytes: 100 * 2 ** 20,
  maxArtifactBytes: 2 ** 30,
  watch: false,
  once: false,
} as const satisfies Partial<EngineOptions>;
