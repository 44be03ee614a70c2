// Every run that has not ended: puts new ones into the queue, and those that the last boss has left; gives each what
// it works with; and cancels them or leaves them to the next boss.

import { setMaxListeners } from "node:events";
import { resolve as resolvePath } from "node:path";
import type { PipedefHost } from "../../../runtime/host/host.js";
import { repoRoot } from "../../../runtime/host/repo-root.js";
import type { RunCreated, RunEvent, RunSource } from "../../model/events.js";
import type { TaskRef } from "../../model/pipeline.js";
import type { PipelineView } from "../../wire/boss.js";
import type { EngineOptions } from "../engine-options.js";
import type { EventLog } from "../event-log.js";
import type { Disk } from "../history/disk.js";
import type { History } from "../history/history.js";
import type { Retention } from "../history/retention.js";
import type { Statistics } from "../history/statistics.js";
import type { Pipelines } from "../pipelines.js";
import type { Topic } from "../topic.js";
import type { Workers } from "../workers.js";
import { leftBy } from "./artifact-source.js";
import { readPast } from "./attempt-log.js";
import type { Expectations } from "./expectations.js";
import { endInterrupted, interruptedFault } from "./interrupted.js";
import { KeptSources, type Sources as PipedefSources, readSources } from "./kept-sources.js";
import { executeRun, type RunDependencies } from "./run-execution.js";
import { RunQueue } from "./run-queue.js";
import type { FoundWorkspace, Sources } from "./sources.js";
import type { TaskSlots } from "./task-slots.js";

export interface RunsParts {
  readonly options: Pick<
    EngineOptions,
    "concurrentRuns" | "infraRetries" | "maxArtifactBytes" | "keepFailedMs" | "secrets" | "log"
  >;
  readonly history: History;
  readonly log: EventLog;
  readonly disk: Disk;
  readonly retention: Retention;
  readonly statistics: Statistics;
  readonly pipelines: Pipelines;
  readonly openHost: (pipedef: string, kept?: PipedefSources) => Promise<PipedefHost>;
  readonly workers: Workers;
  readonly slots: TaskSlots;
  readonly expectations: Expectations;
  readonly sources: Sources;
  /** Told when the queue changes; and what tells when the disk does. */
  readonly changes: Topic;
}

/** What was asked for, besides the pipeline and its tasks. */
export interface RunWishes {
  readonly keepGoing?: boolean | undefined;
  readonly trigger: string;
  /** Absent: as the boss does by itself. */
  readonly keepFailedMs?: number | undefined;
  /** What is to be tested; absent: whatever is there. */
  readonly sources?: readonly RunSource[];
  readonly again?: RunCreated["again"];
  /** To start before the others of their stage. */
  readonly first?: readonly TaskRef[];
  /** The working tree as it was just found; absent: it is looked at when a command asks for it. */
  readonly workspace?: FoundWorkspace | Promise<FoundWorkspace | null>;
}

/** So often a run may be taken up without that anything happens; else one that kills its boss would do so for ever. */
const longestVain = 100;

export class Runs {
  readonly queue: RunQueue;
  readonly #parts: RunsParts;
  readonly #keptSources: KeptSources;
  readonly #stopBegun = new AbortController();
  readonly #stopOver = new AbortController();

  constructor(parts: RunsParts) {
    this.#parts = parts;
    this.queue = new RunQueue(parts.options.concurrentRuns, () => parts.changes.publish());
    this.#keptSources = new KeptSources((run) => parts.history.outputs.folderOf(run));
    for (const { signal } of [this.#stopBegun, this.#stopOver]) setMaxListeners(0, signal);
  }

  begin(view: PipelineView, only: readonly TaskRef[] | undefined, wishes: RunWishes): number {
    const { history, log, options, pipelines, openHost } = this.#parts;
    const { keepFailedMs = options.keepFailedMs } = wishes;
    const id = history.store.nextRunId();
    const request: RunCreated = {
      type: "run-created",
      at: Date.now(),
      pipelineName: view.name,
      pipedef: view.pipedef,
      ...(only && { only }),
      keepGoing: wishes.keepGoing ?? false,
      trigger: wishes.trigger,
      ...(keepFailedMs !== undefined && { keepFailedMs }),
      ...(wishes.sources && wishes.sources.length > 0 && { sources: wishes.sources }),
      ...(wishes.again && { again: wishes.again }),
    };
    log.append(id, request);
    this.queue.add(id, (signal) =>
      this.#execute(id, request, signal, {
        openHost: async () => pipelines.takeLoaded(view.name) ?? openHost(view.pipedef),
        past: null,
        ...(wishes.first && { first: wishes.first }),
        ...(wishes.workspace && { workspace: wishes.workspace }),
      }),
    );
    return id;
  }

  /** Those that the last boss was killed in the middle of, or has left when it was stopped. */
  async resumeUnfinished(): Promise<void> {
    const { log } = this.#parts.options;
    const unfinished = this.#parts.history.store.unfinished((problem) =>
      log(`${problem}; it does not go on. Try: bettertest data check`),
    );
    for (const id of unfinished) await this.#resume(id);
    if (unfinished.length === 0) return;
    const which =
      unfinished.length === 1 ? `run ${unfinished[0]} goes` : `${unfinished.length} runs go`;
    log(`${which} on where the last boss left off`);
  }

  async #resume(id: number): Promise<void> {
    const { history, log, options, openHost } = this.#parts;
    const run = history.store.run(id)!;
    const past = readPast(history.store, id);
    const kept = run.pipeline ? await this.#keptSources.of(id) : undefined;
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
    const open = () => openHost(run.request.pipedef, kept?.files);
    const { secrets } = options;
    const hasSecrets = kept?.secrets === undefined || (await secrets.isMarkedBy(kept.secrets));
    this.queue.add(
      id,
      (signal) =>
        this.#execute(id, run.request, signal, {
          openHost: open,
          past,
          // What still runs may print those that nobody knows any more.
          ...(!hasSecrets && { hurdle: "the secrets are others since" }),
        }),
      { now: run.pipeline !== null },
    );
    // Asked for before; its executions end, and nothing else of it runs.
    if (run.cancelledBy !== null) this.queue.cancel(id);
  }

  async #execute(
    id: number,
    request: RunCreated,
    signal: AbortSignal,
    deps: Pick<RunDependencies, "openHost" | "past" | "hurdle"> &
      Pick<RunWishes, "first" | "workspace">,
  ): Promise<void> {
    const { history, log, options, retention, statistics, expectations } = this.#parts;
    const { store, outputs } = history;
    const { secrets } = options;
    const emit = (event: RunEvent) => void log.append(id, secrets.maskTexts(event));
    const ended = new AbortController();
    let keeping: Promise<void> | undefined;
    await executeRun(id, request, signal, {
      ...deps,
      emit,
      state: () => store.run(id)!,
      keepSources: async (paths) => {
        if (!history.durable) return;
        const read = await readSources(paths);
        const mark = await secrets.mark();
        const keep = () => this.#keptSources.keep(id, read, mark);
        await keep().catch((error: Error) => {
          options.log(`until there is room run ${id} cannot outlive the boss: ${error.message}`);
          this.#parts.disk.look();
          keeping = this.#keepWhenThereIsRoom(keep, ended.signal);
        });
      },
      forgetSources: async () => {
        ended.abort();
        await keeping;
        if (history.durable) await this.#keptSources.forget(id).catch(() => {});
      },
      workers: this.#parts.workers,
      expectations: expectations.ofRun(request.pipelineName),
      infraRetries: options.infraRetries,
      outputs,
      sources: this.#parts.sources.forRun({
        root: repoRoot(resolvePath(request.pipedef)),
        fixed: store.run(id)?.sources ?? [],
        left: (task) => leftBy(store.run(id)!, { run: (id) => store.run(id), outputs }, task),
        ...(deps.workspace && { found: deps.workspace }),
        emit,
        now: Date.now,
      }),
      builds: {
        origin: { run: id, at: request.at },
        isOwn: ({ run, at }) => store.run(run)?.request.at === at,
      },
      maxArtifactBytes: options.maxArtifactBytes,
      keepFailedMs: request.keepFailedMs,
      secrets,
      slots: this.#parts.slots,
      usual: () => statistics.usualMs(request.pipelineName),
      stop: { begun: this.#stopBegun.signal, over: this.#stopOver.signal },
      now: Date.now,
    });
    void retention.sweep();
  }

  async #keepWhenThereIsRoom(keep: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { changes, disk } = this.#parts;
    for await (const _ of changes.changes(signal)) {
      if (disk.state.trouble !== null) continue;
      const isKept = await keep().then(
        () => true,
        () => false,
      );
      if (isKept) return;
    }
  }

  /** False where the run does not exist or has ended. */
  cancel(id: number, by: string): boolean {
    if (this.queue.canCancel(id)) {
      this.#parts.log.append(id, { type: "cancel-requested", at: Date.now(), by });
      this.queue.cancel(id);
    }
    return this.queue.has(id);
  }

  /** What runs has `graceMs`; then it is left to the next boss, or cancelled where the history is not durable. */
  async stop(graceMs: number): Promise<void> {
    if (this.#parts.history.durable) {
      this.#stopBegun.abort();
      this.queue.stop();
      await Promise.race([this.#parts.slots.stop(), delay(graceMs)]);
      this.#stopOver.abort();
    } else {
      if (graceMs > 0) await Promise.race([this.queue.idle(), delay(graceMs)]);
      for (const id of this.queue.ids()) this.cancel(id, "the boss stopped");
    }
    await this.queue.idle();
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
