// The boss without its HTTP face: what the API serves, what `bettertest run` and library users drive.

import { resolve } from "node:path";
import type { PipedefHost } from "../../runtime/host/host.js";
import { createHostPool, type HomeSource, openHost } from "../../runtime/host/open-host.js";
import { repoRoot } from "../../runtime/host/repo-root.js";
import type { Run } from "../model/run.js";
import type { BegunScan } from "../source/scan.js";
import type { QueueView } from "../wire/boss.js";
import { StreamCount } from "../wire/stream-count.js";
import type { EngineOptions } from "./engine-options.js";
import { EventLog } from "./event-log.js";
import { Disk, type DiskState } from "./history/disk.js";
import { openHistory } from "./history/history.js";
import { Retention } from "./history/retention.js";
import { Statistics } from "./history/statistics.js";
import { Metrics } from "./metrics.js";
import type { Outputs } from "./output/outputs.js";
import { Pipelines } from "./pipelines.js";
import { Expectations } from "./run/expectations.js";
import type { Sources as PipedefSources } from "./run/kept-sources.js";
import { createNeedsMemory } from "./run/remembered-needs.js";
import {
  type RerunRequest,
  RunRequests,
  type StartRequest,
  type StartResult,
} from "./run/run-requests.js";
import { Runs } from "./run/runs.js";
import { type FoundWorkspace, Sources } from "./run/sources.js";
import { TaskSlots } from "./run/task-slots.js";
import { maskedHost } from "./secrets/masked-host.js";
import type { Store } from "./store/store.js";
import { Topic } from "./topic.js";
import { startTracing } from "./tracing/tracing.js";
import { Workers } from "./workers.js";

/** Of a kind. Each holds a socket, and up to a MiB where its reader has stopped reading. */
const mostStreams = 1000;

export interface Engine {
  readonly log: EventLog;
  readonly store: Store;
  readonly pipelines: Pipelines;
  readonly workers: Workers;
  readonly outputs: Outputs;
  readonly statistics: Statistics;
  readonly metrics: Metrics;
  /** Of events, to readers. */
  readonly streams: StreamCount;
  readonly outputStreams: StreamCount;
  readonly disk: { readonly state: DiskState };
  /** Told whenever a pipeline, a worker, the queue or the disk changes. */
  readonly changes: Topic;
  /** Another object whenever it has changed. */
  queue(): QueueView;
  /** One of its own, which can run so many commands at once. */
  bringWorker(url: string, slots: number): void;
  start(request: StartRequest): StartResult;
  /** The working tree that the pipedef belongs to, as it is now. */
  lookAtWorkspace(pipedef: string): Promise<FoundWorkspace>;
  /** The same for what may be asked for soon, and only where it was the last time. Never rejects. */
  prepareWorkspace(pipedef: string, begun?: BegunScan): Promise<FoundWorkspace | null>;
  rerun(run: number, request: RerunRequest): StartResult;
  /** False where the run does not exist or has ended. */
  cancel(run: number, by: string): boolean;
  /** Whether it is kept for ever. False where the run does not exist. */
  pin(run: number, pinned: boolean, by: string): boolean;
  /** The run once it has ended. */
  finished(run: number): Promise<Run>;
  /**
   * What runs has `graceMs` to finish; then everything the engine started is ended. With a durable history
   * nothing new starts meanwhile, and what has not ended goes on at the next start; else it is cancelled.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Of a run, to learn what the next one will need; an endless one must not hold up its start. */
const mostEventsLookedAt = 2_000;

export async function createEngine(given: EngineOptions): Promise<Engine> {
  const { secrets } = given;
  const options = { ...given, log: (line: string) => given.log(secrets.maskText(line)) };
  const history = await openHistory(options.history, {
    maxOutputBytes: options.maxOutputBytes,
    onTrouble: () => disk.look(),
  });
  const { store, outputs } = history;
  const changes = new Topic();
  const log = new EventLog(store);
  const disk = new Disk({
    folder: history.folder,
    store,
    retry: () => log.retry(),
    onChange: () => changes.publish(),
    log: options.log,
  });
  const sources = new Sources({
    ...(options.cacheFolder !== undefined && { folder: options.cacheFolder }),
    secret: (name) => secrets.valueOf(name),
    workers: () => workers.clients(),
  });
  const statistics = new Statistics(store);
  const tracing =
    options.otlp === undefined
      ? null
      : startTracing(store, log, { url: options.otlp, log: options.log });
  const slots = new TaskSlots(() => workers.slots());
  const workers = new Workers({
    own: options.workers,
    leaseMs: options.workerLeaseMs,
    ...(options.localStandIn !== undefined && { localStandIn: options.localStandIn }),
    ...(options.workerCredentials && { credentials: options.workerCredentials }),
    onChange: () => {
      slots.pump();
      changes.publish();
    },
  });
  const [pipedef, ...otherPipedefs] = options.pipedefs;
  const remembers =
    options.history.kind === "memory" && pipedef !== undefined && otherPipedefs.length === 0;
  const expectations = new Expectations({
    workers,
    ...(remembers &&
      options.cacheFolder !== undefined && {
        memory: createNeedsMemory(options.cacheFolder, resolve(pipedef)),
      }),
    lastEvents: (pipeline) => {
      const last = store.runs({ pipeline, limit: 10 }).find((run) => run.finishedAt !== null);
      if (!last) return [];
      const limit = mostEventsLookedAt;
      return store.events({ run: last.id, after: 0, limit }).map(({ event }) => event);
    },
  });
  const hostPool = options.homes ?? createHostPool({ spares: options.once ? 0 : 1 });
  const openFrom = async (
    pool: HomeSource,
    pipedef: string,
    kept?: PipedefSources,
  ): Promise<PipedefHost> => {
    const host = await openHost(
      {
        pipedef,
        ...(kept && { sources: kept }),
        home: options.hostHome,
        env: options.env,
        cacheFolder: options.cacheFolder,
        memoryBytes: options.pipedefMemoryBytes,
        stallTimeoutMs: options.stallTimeoutMs,
        onLoadOutput: (bytes) => options.log(Buffer.from(bytes).toString().trimEnd()),
      },
      pool,
    );
    return maskedHost(host, secrets);
  };
  const open = (pipedef: string, kept?: PipedefSources) => openFrom(hostPool, pipedef, kept);
  const keepLoads = options.once ? "first" : options.reloads ? "each" : "none";
  const pipelines = new Pipelines({
    pipedefs: options.pipedefs,
    // A load that is kept is a run's.
    openHost: keepLoads === "none" ? (pipedef) => openFrom(hostPool.forLoads, pipedef) : open,
    watch: options.watch,
    keepLoads,
    onChange: () => changes.publish(),
  });

  const retention = new Retention({
    store,
    outputs,
    limits: options.retention,
    now: Date.now,
    log: options.log,
  });
  void retention.sweep();
  const runs = new Runs({
    options,
    history,
    log,
    disk,
    retention,
    statistics,
    pipelines,
    openHost: open,
    workers,
    slots,
    expectations,
    sources,
    changes,
  });
  const requests = new RunRequests({
    runs,
    pipelines,
    run: (id) => store.run(id),
    maxQueuedRuns: options.maxQueuedRuns,
  });
  const streams = new StreamCount(mostStreams);
  const outputStreams = new StreamCount(mostStreams);
  const metrics = new Metrics({
    liveRuns: () => runs.queue.ids().flatMap((id) => store.run(id) ?? []),
    workers: () => workers.views(),
    outputBytes: () => outputs.bytesReceived,
    readers: () => streams.open,
    spans: () => tracing?.counts ?? null,
  });
  const stopped = new AbortController();
  void metrics.count(log.follow({ after: store.lastSeq(), signal: stopped.signal }));
  await runs.resumeUnfinished();
  return {
    log,
    store,
    pipelines,
    workers,
    outputs,
    statistics,
    metrics,
    streams,
    outputStreams,
    disk,
    changes,
    queue: () => runs.queue.view(),
    bringWorker(url, slots) {
      workers.bring(url);
      expectations.ahead(slots);
    },
    start: (asked) => requests.start(asked),
    lookAtWorkspace: (pipedef) => sources.look(repoRoot(resolve(pipedef))),
    prepareWorkspace: (pipedef, begun) => sources.ahead(repoRoot(resolve(pipedef)), begun),
    rerun: (id, asked) => requests.rerun(id, asked),
    cancel: (id, by) => runs.cancel(id, by),

    pin(id, pinned, by) {
      const run = store.run(id);
      if (!run) return false;
      if ((run.pinned ?? false) === pinned) return true;
      log.append(id, { type: "pin-changed", at: Date.now(), pinned, by });
      if (!pinned) void retention.sweep();
      return true;
    },

    async finished(id) {
      await runs.queue.done(id);
      const run = store.run(id);
      if (!run) throw new Error(`there is no run ${id}`);
      return run;
    },

    async close({ graceMs = 0 } = {}) {
      requests.close();
      await runs.stop(graceMs);
      await pipelines.close();
      await hostPool.close();
      workers.close();
      await sources.close();
      stopped.abort();
      metrics.close();
      await retention.idle();
      await tracing?.close();
      await disk.close();
      await history.close();
    },
  };
}
