// Puts a worker together. Used by the CLI, by a boss that brings its own worker, and by tests.

import { availableParallelism } from "node:os";
import { type AccessOptions, type OpenAccess, openAccess } from "../access/open-access.js";
import { within } from "../lib/or-else.js";
import { makeOwnedFolder } from "../lib/owned-folder.js";
import { listen } from "../wire/listen.js";
import { StreamCount } from "../wire/stream-count.js";
import type { TlsFiles } from "../wire/tls.js";
import { defaultWorkerPort } from "../wire/well-known.js";
import type { WorkerInfo } from "../wire/worker.js";
import { Admission } from "./admission.js";
import { createWorkerApp } from "./app.js";
import { Executions } from "./executions.js";
import type { PullPolicy } from "./executors/docker-images.js";
import type { Executor, MakePlace } from "./executors/executor.js";
import { createInfoFeed } from "./info-feed.js";
import { KeptSandboxes } from "./kept/kept.js";
import { defaultMaxPids, type Maxima } from "./maxima.js";
import { WorkerMetrics } from "./metrics.js";
import { unmountAll } from "./sources/overlay.js";
import { openSources, placesOf } from "./sources/sources.js";

export interface WorkerOptions {
  readonly host?: string;
  /** 0: any free port. */
  readonly port?: number;
  /** Foreign names that a worker on loopback answers to. */
  readonly allowHosts?: readonly string[];
  /** Who may have it run commands. Beyond loopback nobody without a token. */
  readonly access?: AccessOptions;
  readonly tls?: TlsFiles;
  readonly executor?: "docker" | "process" | Executor;
  /** Process executor: where commands start that name no workdir; absent: an empty folder each. */
  readonly startIn?: string;
  /** As DOCKER_HOST, which counts where this is absent. */
  readonly dockerHost?: string;
  /** Commands at a time; default: as many as there are cores. */
  readonly slots?: number;
  readonly pull?: PullPolicy;
  /** Of images that it has built, most that it keeps, in bytes. */
  readonly maxImageBytes?: number;
  /** Sandboxes that are kept ready before they are asked for; default: four for each slot. */
  readonly poolMax?: number;
  /** How long they are kept when nothing asks for them; 0: only what a client announces is made ahead. */
  readonly poolIdleMs?: number;
  /** Where output is kept while a command runs; default: the system's folder for temporary files. */
  readonly dataDir?: string;
  /** Where sources outlive the worker; absent: nowhere. */
  readonly sourcesDir?: string;
  /** What they may take of the disk. */
  readonly maxSourceBytes?: number;
  /** Private copies of sources even where overlays can be mounted. */
  readonly copySources?: boolean;
  /** What caches may take of it. */
  readonly maxCacheBytes?: number;
  /** How long a client may be gone before its sandbox is ended. */
  readonly leaseMs?: number;
  /** From SIGTERM to SIGKILL when a command's time is up. */
  readonly graceMs?: number;
  /** What one command may have of this machine. */
  readonly maxima?: Maxima;
  /** Of one command; of more, the beginning and the end are kept. */
  readonly maxOutputBytes?: number;
  /** Most files that are kept of one command, in bytes; what does not fit is left out. */
  readonly maxArtifactBytes?: number;
  /** How long the sandbox of a red command is kept where its request does not say; 0: it is not. */
  readonly keepFailedMs?: number;
  /** Sandboxes that are kept at a time; of more, the oldest one goes. */
  readonly maxKept?: number;
  /** How long commands wait for an engine that is away before they are handed back. */
  readonly engineWaitMs?: number;
  readonly keepAliveMs?: number;
  /** Commands it knows at a time, of all clients. */
  readonly maxExecutions?: number;
  readonly maxStreams?: number;
  readonly version?: string;
  readonly log?: (line: string) => void;
}

export interface RunningWorker {
  readonly url: string;
  readonly port: number;
  /** Where its token is; null where none is needed, or no file holds it. */
  readonly tokenFile: string | null;
  info(): WorkerInfo;
  /** Takes nothing new, and ends every sandbox that does not end by itself within `graceMs` (0). Safe to call twice. */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Each takes the disk that its command has written to. */
export const defaultMaxKept = 8;

const defaultSourceBytes = 20 * 2 ** 30;
const defaultCacheBytes = 10 * 2 ** 30;

/** Together well below the 12 s in which a stopped worker must be gone. */
const sandboxesMs = 9_500;
/** Streams that are not read to their end by then belong to clients that will not read them. */
const lastWordsMs = 1_000;

/** Rejects with words for the user where it cannot start: no engine, port taken. */
export async function startWorker(options: WorkerOptions = {}): Promise<RunningWorker> {
  const {
    host = "127.0.0.1",
    port = defaultWorkerPort,
    slots = availableParallelism(),
    leaseMs = 1_000,
    graceMs = 10_000,
    engineWaitMs = 60_000,
    keepAliveMs = 15_000,
    allowHosts = [],
    tls,
    maxOutputBytes = 100 * 2 ** 20,
    maxExecutions = 10_000,
    // Each execution has its events and its output; and bosses watch.
    maxStreams = 2 * maxExecutions + 1_000,
    maxArtifactBytes = 2 ** 30,
    keepFailedMs = 0,
    maxKept = defaultMaxKept,
    version = "0.0.0",
    log = () => {},
  } = options;

  const folder = await makeOwnedFolder("worker", options.dataDir, unmountAll);
  const metrics = new WorkerMetrics();
  const sources = openSources({
    folder: options.sourcesDir,
    ownFolder: folder.path,
    maxBytes: options.maxSourceBytes ?? defaultSourceBytes,
    copy: options.copySources ?? false,
    maxCacheBytes: options.maxCacheBytes ?? defaultCacheBytes,
    log,
  });
  let executor: Executor | null = null;
  let access: OpenAccess | undefined;
  try {
    const opened = openAccess(options.access ?? {}, { role: "worker", host, allowHosts, log });
    access = opened;
    executor = await createExecutor(
      { poolMax: 4 * slots, ...options },
      { folder: folder.path, place: placesOf(sources), log },
    );
    const { name, isolated } = executor;
    let stopping = false;
    let problem: string | null = null;
    let ready = 0;
    const feed = createInfoFeed(() => ({
      version,
      executor: name,
      isolated,
      slots,
      running: admission.running,
      queued: admission.queued,
      ready,
      problem: stopping ? "the worker is stopping" : problem,
      kept: kept.marks(),
    }));
    const kept = new KeptSandboxes({ most: maxKept, changed: feed.changed, log });
    const admission: Admission = new Admission({ slots, changed: feed.changed });
    const executions = new Executions({
      executor,
      admission,
      folder: folder.path,
      most: maxExecutions,
      maxOutputBytes,
      maxArtifactBytes,
      leaseMs,
      graceMs,
      metrics,
      sources,
      kept,
      keepFailedMs,
      log,
    });
    let stopped: Promise<void> | null = null;
    let tooLong: NodeJS.Timeout | undefined;
    let waitedTooLong = false;
    executor.onProblem?.((now) => {
      if (now === problem) return;
      log(now === null ? "the engine is back" : `${now}: taking nothing until it is back`);
      problem = now;
      waitedTooLong = false;
      clearTimeout(tooLong);
      if (now === null) admission.resume();
      else {
        kept.lose(now);
        admission.hold();
        tooLong = setTimeout(() => {
          waitedTooLong = true;
          executions.endWaiting(now);
        }, engineWaitMs);
      }
      feed.changed();
    });
    executor.onReady?.((now) => {
      ready = now;
      feed.changed();
    });
    const expect = executor.expect?.bind(executor);
    const app = createWorkerApp({
      executions,
      expect: (expected) => void expect?.(expected),
      maxima: { pids: defaultMaxPids, ...options.maxima },
      metrics,
      sources,
      kept,
      info: feed.info,
      followInfo: feed.follow,
      keepAliveMs,
      streams: new StreamCount(maxStreams),
      refusesNew: () => {
        if (stopping) return "this worker is stopping";
        return waitedTooLong ? `takes nothing now: ${problem}` : null;
      },
    });
    const fetch = opened.guard((request) => app.fetch(request));
    const server = await listen({ fetch, host, port, log, ...(tls && { tls }) });

    const stop = async (graceMs: number) => {
      feed.changed();
      clearTimeout(tooLong);
      const ended = Promise.all([
        executions.stop(graceMs).then(() => kept.stop()),
        executor?.relax?.(),
      ]);
      await within(graceMs + sandboxesMs, ended, () => log("some sandboxes would not end"));
      feed.end();
      await server.close(lastWordsMs);
      opened.close();
      await executor?.close();
      await sources.close();
      metrics.close();
      await folder.remove();
    };
    return {
      url: server.url,
      port: server.port,
      tokenFile: opened.tokenFile,
      info: feed.info,
      stop({ graceMs = 0 } = {}) {
        stopping = true;
        stopped ??= stop(graceMs);
        return stopped;
      },
    };
  } catch (error) {
    metrics.close();
    access?.close();
    await executor?.close();
    await sources.close();
    await folder.remove();
    throw error;
  }
}

/** Loads an executor's libraries only for those who use it. */
async function createExecutor(
  {
    executor = "docker",
    dockerHost,
    pull = "missing",
    poolMax = 0,
    poolIdleMs = 300_000,
    maxImageBytes,
    startIn,
    maxima,
  }: WorkerOptions,
  {
    folder,
    place,
    log,
  }: {
    readonly folder: string;
    readonly place: MakePlace;
    readonly log: (line: string) => void;
  },
): Promise<Executor> {
  if (executor === "docker") {
    const { createDockerExecutor } = await import("./executors/docker.js");
    return createDockerExecutor({
      dockerHost,
      pull,
      poolMax,
      poolIdleMs,
      limitsDisk: maxima?.diskBytes !== undefined,
      ...(maxima && { buildLimits: maxima }),
      ...(maxImageBytes !== undefined && { maxImageBytes }),
      place,
      log,
    });
  }
  if (executor === "process") {
    const { createProcessExecutor } = await import("./executors/process.js");
    return createProcessExecutor({ folder, place, log, ...(startIn !== undefined && { startIn }) });
  }
  return executor;
}
