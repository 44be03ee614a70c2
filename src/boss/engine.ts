// The boss without its HTTP face: what the API serves, what `bettertest run` and library users drive.

import { setMaxListeners } from "node:events";
import { resolve as resolvePath } from "node:path";
import type { PipedefHost } from "../../runtime/host/host.js";
import { createHostPool, openHost } from "../../runtime/host/open-host.js";
import { repoRoot } from "../../runtime/host/repo-root.js";
import type { RunCreated, RunSource } from "../model/events.js";
import { type Pipeline, selectTasks, type TaskRef } from "../model/pipeline.js";
import { eachTask, isFinished, type Run } from "../model/run.js";
import type { PipelineView, QueueView, StartRunRequest } from "../wire/boss.js";
import { StreamCount } from "../wire/stream-count.js";
import { EventLog } from "./event-log.js";
import { Disk, type DiskState } from "./history/disk.js";
import { type HistoryOptions, openHistory } from "./history/history.js";
import { Retention, type RetentionLimits } from "./history/retention.js";
import { Statistics } from "./history/statistics.js";
import { Metrics } from "./metrics.js";
import type { Outputs } from "./output/outputs.js";
import { Pipelines } from "./pipelines.js";
import { readPast } from "./run/attempt-log.js";
import { Expectations } from "./run/expectations.js";
import { endInterrupted, interruptedFault } from "./run/interrupted.js";
import { KeptSources, readSources, type Sources } from "./run/kept-sources.js";
import { executeRun, type RunDependencies } from "./run/run-execution.js";
import { RunQueue } from "./run/run-queue.js";
import { Sources as TestedSources } from "./run/sources.js";
import { TaskSlots } from "./run/task-slots.js";
import { maskedHost } from "./secrets/masked-host.js";
import { noSecrets, type Secrets } from "./secrets/secrets.js";
import type { Store } from "./store/store.js";
import { Topic } from "./topic.js";
import { startTracing } from "./tracing/tracing.js";
import { type WorkerCredentials, Workers } from "./workers.js";

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
  /** Reload pipedefs when their files change. */
  readonly watch: boolean;
  /**
   * For a program that runs a pipedef once: the load that finds its tasks also serves the first run, and
   * nothing is kept warm for a second one.
   */
  readonly once: boolean;
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

/** Of a kind. Each holds a socket, and up to a MiB where its reader has stopped reading. */
const mostStreams = 1000;

export type StartRequest = StartRunRequest & { readonly trigger: string };

export type StartResult =
  | { readonly ok: true; readonly run: number }
  | {
      readonly ok: false;
      readonly status: 400 | 404 | 409 | 429;
      readonly error: string;
      readonly field?: string;
    };

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
  start(request: StartRequest): StartResult;
  rerun(run: number, options: { readonly failed: boolean; readonly trigger: string }): StartResult;
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
  const disk = new Disk({
    folder: history.folder,
    store,
    onChange: () => changes.publish(),
    log: options.log,
  });
  const log = new EventLog(store);
  const tested = new TestedSources({
    ...(options.cacheFolder !== undefined && { folder: options.cacheFolder }),
    secret: (name) => secrets.valueOf(name),
    workers: () => workers.clients(),
  });
  const statistics = new Statistics(store);
  const sources = new KeptSources((run) => outputs.folderOf(run));
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
  const expectations = new Expectations({
    workers,
    lastEvents: (pipeline) => {
      const last = store.runs({ pipeline, limit: 10 }).find((run) => run.finishedAt !== null);
      if (!last) return [];
      const limit = mostEventsLookedAt;
      return store.events({ run: last.id, after: 0, limit }).map(({ event }) => event);
    },
  });
  const hostPool = createHostPool({ spares: options.once ? 0 : 1 });
  const open = async (pipedef: string, kept?: Sources): Promise<PipedefHost> => {
    const host = await openHost(
      {
        pipedef,
        ...(kept && { sources: kept }),
        home: options.hostHome,
        env: options.env,
        memoryBytes: options.pipedefMemoryBytes,
        stallTimeoutMs: options.stallTimeoutMs,
        onLoadOutput: (bytes) => options.log(Buffer.from(bytes).toString().trimEnd()),
      },
      hostPool,
    );
    return maskedHost(host, secrets);
  };
  const pipelines = new Pipelines({
    pipedefs: options.pipedefs,
    openHost: open,
    watch: options.watch,
    keepFirstLoad: options.once,
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
  const queue = new RunQueue(options.concurrentRuns, () => changes.publish());
  const streams = new StreamCount(mostStreams);
  const outputStreams = new StreamCount(mostStreams);
  const metrics = new Metrics({
    liveRuns: () => queue.ids().flatMap((id) => store.run(id) ?? []),
    workers: () => workers.views(),
    outputBytes: () => outputs.bytesReceived,
    readers: () => streams.open,
    spans: () => tracing?.counts ?? null,
  });
  const stopped = new AbortController();
  void metrics.count(log.follow({ after: store.lastSeq(), signal: stopped.signal }));
  let closing = false;
  const stopBegun = new AbortController();
  const stopOver = new AbortController();
  for (const { signal } of [stopBegun, stopOver]) setMaxListeners(0, signal);

  function begin(
    view: PipelineView,
    only: readonly TaskRef[] | undefined,
    asked: StartRequest & { readonly sources?: readonly RunSource[] },
  ): number {
    const id = store.nextRunId();
    const request: RunCreated = {
      type: "run-created",
      at: Date.now(),
      pipelineName: view.name,
      pipedef: view.pipedef,
      ...(only && { only }),
      keepGoing: asked.keepGoing ?? false,
      trigger: asked.trigger,
      ...(asked.sources && asked.sources.length > 0 && { sources: asked.sources }),
    };
    log.append(id, request);
    queue.add(id, (signal) =>
      execute(id, request, signal, {
        openHost: async () => pipelines.takeLoaded(view.name) ?? open(view.pipedef),
        past: null,
      }),
    );
    return id;
  }

  async function keepWhenThereIsRoom(
    keep: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    for await (const _ of changes.changes(signal)) {
      if (disk.state.trouble !== null) continue;
      const isKept = await keep().then(
        () => true,
        () => false,
      );
      if (isKept) return;
    }
  }

  async function execute(
    id: number,
    request: RunCreated,
    signal: AbortSignal,
    deps: Pick<RunDependencies, "openHost" | "past">,
  ): Promise<void> {
    const ended = new AbortController();
    let keeping: Promise<void> | undefined;
    await executeRun(id, request, signal, {
      ...deps,
      emit: (event) => void log.append(id, secrets.maskTexts(event)),
      state: () => store.run(id)!,
      keepSources: async (paths) => {
        if (!history.durable) return;
        const read = await readSources(paths);
        const keep = () => sources.keep(id, read);
        await keep().catch((error: Error) => {
          options.log(`until there is room run ${id} cannot outlive the boss: ${error.message}`);
          disk.look();
          keeping = keepWhenThereIsRoom(keep, ended.signal);
        });
      },
      forgetSources: async () => {
        ended.abort();
        await keeping;
        if (history.durable) await sources.forget(id).catch(() => {});
      },
      workers,
      expectations: expectations.ofRun(request.pipelineName),
      infraRetries: options.infraRetries,
      outputs,
      sources: tested.forRun({
        root: repoRoot(resolvePath(request.pipedef)),
        fixed: store.run(id)?.sources ?? [],
        emit: (event) => void log.append(id, secrets.maskTexts(event)),
        now: Date.now,
      }),
      maxArtifactBytes: options.maxArtifactBytes,
      secrets,
      slots,
      usual: () => statistics.usualMs(request.pipelineName),
      stop: { begun: stopBegun.signal, over: stopOver.signal },
      now: Date.now,
    });
    void retention.sweep();
  }

  /** A run that the last boss was killed in the middle of, or has left when it was stopped. */
  async function resume(id: number): Promise<void> {
    const run = store.run(id)!;
    const past = readPast(store, id);
    const kept = run.pipeline ? await sources.of(id) : undefined;
    const hopeless =
      kept === null && run.cancelledBy === null
        ? "the files of its pipedef were not kept"
        : past.resumedInVain >= longestVain
          ? `it was taken up ${past.resumedInVain} times, and each time the boss was killed before anything happened`
          : null;
    if (hopeless !== null) {
      options.log(`run ${id} was under way when the last boss was killed: errored (${hopeless})`);
      const { events, ...end } = endInterrupted(run, Date.now(), interruptedFault(id, hopeless));
      for (const event of events) log.append(id, event);
      log.append(id, { type: "run-finished", at: Date.now(), ...end });
      return;
    }
    if (run.pipeline) log.append(id, { type: "run-resumed", at: Date.now() });
    const { pipedef } = run.request;
    const openHost = () => open(pipedef, kept ?? undefined);
    queue.add(id, (signal) => execute(id, run.request, signal, { openHost, past }), {
      now: run.pipeline !== null,
    });
    // Asked for before; its executions end, and nothing else of it runs.
    if (run.cancelledBy !== null) queue.cancel(id);
  }

  const unfinished = store.unfinished();
  for (const id of unfinished) await resume(id);
  if (unfinished.length > 0) {
    const which =
      unfinished.length === 1 ? `run ${unfinished[0]} goes` : `${unfinished.length} runs go`;
    options.log(`${which} on where the last boss left off`);
  }

  function findPipeline(name: string | undefined): PipelineView | StartResult {
    const view = pipelines.find(name);
    if (view) return view;
    const names = pipelines.views().map((candidate) => candidate.name);
    return name === undefined
      ? {
          ok: false,
          status: 400,
          field: "pipeline",
          error: `say which pipeline: ${names.join(", ") || "there is none"}`,
        }
      : {
          ok: false,
          status: 404,
          field: "pipeline",
          error: `no pipeline ${JSON.stringify(name)}; there is: ${names.join(", ")}`,
        };
  }

  function refusal(): StartResult | null {
    if (closing) return { ok: false, status: 409, error: "the boss is stopping" };
    const waiting = queue.view().waiting.length;
    if (waiting < options.maxQueuedRuns) return null;
    const error = `${waiting} runs are waiting already, and no more may. Try later, or see --max-queued-runs`;
    return { ok: false, status: 429, error };
  }

  function start(asked: StartRequest): StartResult {
    const refused = refusal();
    if (refused) return refused;
    const view = findPipeline(asked.pipeline);
    if ("ok" in view) return view;
    let only: readonly TaskRef[] | undefined;
    if (asked.only && asked.only.length > 0) {
      const selection = selectTasks(view.pipeline ?? nothing, asked.only);
      if (!selection.ok) {
        const error = `${view.name} has no stage or task ${JSON.stringify(selection.unknown)}; there is: ${selection.suggestions.join(", ")}`;
        return { ok: false, status: 400, field: "only", error };
      }
      only = selection.tasks;
    }
    return { ok: true, run: begin(view, only, asked) };
  }

  function cancel(id: number, by: string): boolean {
    if (queue.canCancel(id)) {
      log.append(id, { type: "cancel-requested", at: Date.now(), by });
      queue.cancel(id);
    }
    return queue.has(id);
  }

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
    queue: () => queue.view(),
    start,

    rerun(id, { failed, trigger }) {
      const run = store.run(id);
      if (!run) return { ok: false, status: 404, error: `there is no run ${id}` };
      if (!isFinished(run)) return { ok: false, status: 409, error: `run ${id} has not ended yet` };
      const refused = refusal();
      if (refused) return refused;
      const view = findPipeline(run.request.pipelineName);
      if ("ok" in view) return view;
      let only = run.request.only;
      if (failed && run.pipeline) {
        only = [...eachTask(run)]
          .filter(({ task }) => task.status !== "passed")
          .map(({ ref }) => ref);
        if (only.length === 0) {
          return {
            ok: false,
            status: 409,
            error: `every task of run ${id} passed: nothing to rerun`,
          };
        }
      }
      const { keepGoing } = run.request;
      return {
        ok: true,
        run: begin(view, only, {
          keepGoing,
          trigger,
          ...(run.sources && { sources: run.sources }),
        }),
      };
    },

    cancel,

    pin(id, pinned, by) {
      const run = store.run(id);
      if (!run) return false;
      if ((run.pinned ?? false) === pinned) return true;
      log.append(id, { type: "pin-changed", at: Date.now(), pinned, by });
      if (!pinned) void retention.sweep();
      return true;
    },

    async finished(id) {
      await queue.done(id);
      const run = store.run(id);
      if (!run) throw new Error(`there is no run ${id}`);
      return run;
    },

    async close({ graceMs = 0 } = {}) {
      closing = true;
      if (history.durable) {
        stopBegun.abort();
        queue.stop();
        await Promise.race([slots.stop(), delay(graceMs)]);
        stopOver.abort();
      } else {
        if (graceMs > 0) await Promise.race([queue.idle(), delay(graceMs)]);
        for (const id of queue.ids()) cancel(id, "the boss stopped");
      }
      await queue.idle();
      await pipelines.close();
      await hostPool.close();
      workers.close();
      stopped.abort();
      metrics.close();
      await retention.idle();
      await tracing?.close();
      await disk.close();
      await history.close();
    },
  };
}

/** So often a run may be taken up without that anything happens; else one that kills its boss would do so for ever. */
const longestVain = 100;

const nothing: Pipeline = { stages: [], warnings: [] };

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
