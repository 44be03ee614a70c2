// The life of one command on a worker.
//
//   waiting ──slot──► opening ──sandbox──► running ──exit──► finished
//      │ ▲               │ │                  │
//      │ └─engine lost───┘ │                  │
//      └────────────── end(outcome) ──────────┘   cancelled, client gone, timed out, worker stops:
//                                                 the first reason given is the outcome, but for a time-up of
//                                                 a sandbox whose end could not be learned
//
// `finished` is told exactly once, after the last byte of output is in the spool file. Then the slot is free
// for the next command; the sandbox is removed after that, off everybody's clock.

import { Bell } from "../lib/bell.js";
import type { ByteLog } from "../lib/byte-log.js";
import { onSilence, type Silence } from "../lib/silence.js";
import { defaultSourcePath } from "../wire/source.js";
import type { CommandRequest, ExecutionEvent, KeptNote, Outcome } from "../wire/worker.js";
import type { Admission, Slot } from "./admission.js";
import { OpenBuild } from "./builds/open-build.js";
import { OpenCaches } from "./caches/open-caches.js";
import {
  type Executor,
  ExecutorFault,
  type OpenOptions,
  type Sandbox,
  type SandboxBuild,
  type SandboxExit,
  type SandboxSpec,
} from "./executors/executor.js";
import type { KeptSandboxes } from "./kept/kept.js";
import { LeftBehind } from "./left-behind.js";
import type { WorkerMetrics } from "./metrics.js";
import { faulted, isRed, machineOutOfMemory, spoolFault } from "./outcomes.js";
import { ServiceOutputs, servicesToStart } from "./service-outputs.js";
import { borrowTree, holdTrees, type Sources } from "./sources/sources.js";

export interface ExecutionDeps {
  readonly executor: Executor;
  readonly admission: Admission;
  /** Of the command, or of a service of it. */
  readonly openOutput: (service?: string, changed?: () => void) => ByteLog;
  readonly metrics: WorkerMetrics;
  readonly sources: Sources;
  readonly kept: Pick<KeptSandboxes, "add">;
  /** Of commands that do not say it; 0: they are not. */
  readonly keepFailedMs: number;
  readonly log: (line: string) => void;
  /** Where the files are put that the command has left. */
  readonly packPath: string;
  readonly maxArtifactBytes: number;
  /** From SIGTERM to SIGKILL when the time is up. */
  readonly graceMs: number;
}

/** A killed sandbox that does not end within this is the engine's trouble; nobody waits longer for it. */
const killedMustEndWithinMs = 8_000;

/** An engine that loses so many has more wrong with it than that it went away. */
const mostOpenings = 5;

// All timers here wait for silence, not for time alone: a worker that stood still would find the deadlines of its
// commands passed, and read only then that they had long ended.

/** setTimeout fires at once for more than 31 bits can hold; a deadline in 25 days is none. */
const longestTimerMs = 2 ** 31 - 1;

const lineFeed = 10;

/** An event with its number, or output. */
export type Told = [number, ExecutionEvent] | Uint8Array | "more output";

export class Execution {
  readonly id: string;
  readonly request: CommandRequest;
  /** Resolves when the sandbox is gone too. Never rejects. */
  readonly disposed: Promise<void>;
  readonly #deps: ExecutionDeps;
  readonly #events: ExecutionEvent[] = [];
  readonly #changes = new Bell();
  readonly #opening = new AbortController();
  #slot: Slot | null = null;
  #output: ByteLog | null = null;
  #sandbox: Sandbox | null = null;
  /** Lets go of the trees that it names: they stay from its arrival on, however long it waits. */
  readonly #trees: Promise<() => void>;
  #caches: OpenCaches | null = null;
  #build: OpenBuild | null = null;
  #ending: Outcome | null = null;
  #finished = false;
  #giveUp: () => void = () => {};
  #gaveUp = new Promise<void>((resolve) => {
    this.#giveUp = resolve;
  });
  #giveUpTimer: Silence | undefined;
  readonly #services: ServiceOutputs | null;
  #atLineStart = true;
  readonly #left: LeftBehind;

  constructor(id: string, request: CommandRequest, deps: ExecutionDeps) {
    this.id = id;
    this.request = request;
    this.#deps = deps;
    const { packPath, maxArtifactBytes, sources } = deps;
    this.#trees = holdTrees(sources, request);
    this.#left = new LeftBehind({
      request,
      packPath,
      maxArtifactBytes,
      ending: () => this.#ending,
    });
    this.#services = request.services
      ? new ServiceOutputs(Object.keys(request.services), (text) => this.#say(text))
      : null;
    this.disposed = this.#live();
  }

  /** For a slot; nothing of it has begun. */
  get isWaiting(): boolean {
    return !this.#finished && this.#slot === null;
  }

  get finished(): boolean {
    return this.#finished;
  }

  /** What is to be read at `packPath`; null: nothing. */
  get packBytes(): number | null {
    return this.#finished ? (this.#left.files?.bytes ?? null) : null;
  }

  /** Ends it with this outcome, unless it has ended or is ending already. */
  end(outcome: Outcome): void {
    if (this.#finished) return;
    this.#ending ??= outcome;
    this.#opening.abort();
    this.#left.stop();
    if (this.#left.isReading) return;
    this.#sandbox?.kill("SIGKILL");
    this.#giveUpTimer ??= onSilence(killedMustEndWithinMs, this.#giveUp);
  }

  /** Events from number `after` + 1 on (the first is 1): those told already, then those to come. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<[number, ExecutionEvent]> {
    for await (const told of this.followWithOutput({ after, offset: null }, signal)) {
      if (Array.isArray(told)) yield told;
    }
  }

  /**
   * The same, and between them what the command prints, from that byte on, as long as all of it is little. When it is
   * more that is told, once, and followOutput has the rest. Null: none of it.
   */
  async *followWithOutput(
    { after, offset }: { readonly after: number; readonly offset: number | null },
    signal: AbortSignal,
  ): AsyncGenerator<Told> {
    let told = after;
    let printed = offset;
    while (!signal.aborted) {
      const event = this.#events[told];
      const little = printed === null ? undefined : this.#output?.little;
      if (event && event.type !== "finished") {
        told += 1;
        yield [told, event];
      } else if (printed !== null && little === null) {
        printed = null;
        yield "more output";
      } else if (printed !== null && little && printed < little.length) {
        const bytes = little.subarray(printed);
        printed = little.length;
        yield bytes;
      } else if (event) return yield [told + 1, event];
      else if (this.#finished) return;
      else await this.#changes.heard(signal);
    }
  }

  /** Waits for the command's turn, then follows its output to the end. */
  async *followOutput(offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    if (await this.#hasBegun(signal)) yield* this.#output!.follow(offset, signal);
  }

  hasService(name: string): boolean {
    return Object.hasOwn(this.request.services ?? {}, name);
  }

  /** As followOutput, of one of its services. */
  async *followService(
    name: string,
    offset: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    if (!(await this.#hasBegun(signal))) return;
    const log = this.#services?.log(name);
    if (log) yield* log.follow(offset, signal);
  }

  async #hasBegun(signal: AbortSignal): Promise<boolean> {
    while (!this.#output) {
      if (this.#finished || signal.aborted) return false;
      await this.#changes.heard(signal);
    }
    return true;
  }

  async #live(): Promise<void> {
    await this.#enter().catch(() => {});
    // The one seam where whatever went wrong becomes an outcome: a started execution always finishes.
    const outcome = this.#slot
      ? await this.#attempt().catch((error: unknown) => this.#faulted(error))
      : undefined;
    this.#giveUpTimer?.stop();
    this.#finished = true;
    const end = this.#ending ?? outcome ?? ({ kind: "cancelled" } as const);
    const kept = isRed(end) && outcome?.kind !== "faulted" ? this.#handOver() : null;
    const finished = {
      type: "finished",
      outcome: end,
      outputBytes: this.#output?.length ?? 0,
      ...(this.#left.files && { files: this.#left.files }),
      ...(this.#services && { services: this.#services.ends() }),
      ...(kept && { kept }),
    } as const;
    this.#deps.metrics.finished(finished.outcome, finished.outputBytes);
    this.#tell(finished);
    // Where the machinery broke, the next one would only break too: what is wrong is to be known first.
    const isWell = outcome?.kind !== "faulted";
    if (isWell) this.#slot?.release();
    if (kept && "id" in kept) return;
    await this.#sandbox?.dispose();
    if (!isWell) this.#slot?.release();
    await this.#releaseMaterial();
  }

  /** What the sandbox was made of, when that is gone. */
  async #releaseMaterial(): Promise<void> {
    (await this.#trees)();
    await this.#caches?.release();
  }

  /** From then on it is others who remove it. Null: nobody asked for that. */
  #handOver(): KeptNote | null {
    const { kept, keepFailedMs, executor } = this.#deps;
    const forMs = this.request.keepFailedMs ?? keepFailedMs;
    const sandbox = this.#sandbox;
    if (forMs === 0 || !sandbox) return null;
    const { door } = sandbox;
    // Of an image that could not be built there is no sandbox to enter.
    if (!door && this.request.build) return null;
    if (!door) return { problem: `the ${executor.name} executor keeps no sandboxes` };
    const dispose = async () => {
      await sandbox.dispose();
      await this.#releaseMaterial();
    };
    const { id: execution, request } = this;
    const { command } = request;
    const toKeep = { execution, forMs, sandbox: sandbox.id, command, door, dispose };
    return kept.add(toKeep) ?? { problem: "the worker keeps no sandboxes (--max-kept)" };
  }

  #mayBeKept(outcome: Outcome): boolean {
    const forMs = this.request.keepFailedMs ?? this.#deps.keepFailedMs;
    return forMs > 0 && isRed(this.#ending ?? outcome) && this.#sandbox?.door !== undefined;
  }

  /** Rejects where it is ended while it waits. */
  async #enter(): Promise<void> {
    const moved = (ahead: number) => this.#tell({ type: "queued", ahead });
    this.#slot = await this.#deps.admission.enter({ signal: this.#opening.signal, moved });
  }

  /** A command that its engine has lost before it began waits once more, until there is an engine again. */
  async #open(spec: SandboxSpec, io: OpenOptions): Promise<Sandbox> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#deps.executor.open(spec, io);
      } catch (error) {
        const isLost = error instanceof ExecutorFault && error.lost;
        if (!isLost || this.#ending || tries === mostOpenings) throw error;
        this.#deps.metrics.engineFailed();
        // Who waits for its files holds a slot, which it may itself be waiting for from now on.
        this.#build?.release();
        this.#slot?.release();
        this.#slot = null;
        await this.#enter();
      }
    }
  }

  async #attempt(): Promise<Outcome> {
    const output = this.#deps.openOutput(undefined, () => this.#changes.ring());
    this.#services?.open((name) => this.#deps.openOutput(name));
    this.#output = output;
    this.#changes.ring();
    try {
      const exit = await Promise.race([this.#openAndRun(output), this.#gaveUp]);
      if (!exit)
        throw new ExecutorFault(`sandbox ${this.#sandbox?.id} was killed, and did not end`);
      // However long it takes to read what it has left.
      this.#giveUpTimer?.stop();
      const outcome = await this.#unlessServiceLost(this.#outcomeOf(exit));
      // Whoever enters a sandbox that is kept may want to ask what stood beside it.
      const ended = this.#mayBeKept(outcome) ? undefined : this.#sandbox?.endServices?.();
      await this.#left.collect(outcome, { build: this.#build, sandbox: this.#sandbox });
      const told = await this.#left.saveBuild(outcome, this.#build);
      await this.#left.saveCaches(outcome, { caches: this.#caches, sandbox: this.#sandbox });
      await ended;
      return told;
    } finally {
      this.#build?.release();
      await this.#services?.end();
      await output.end();
    }
  }

  async #openAndRun(output: ByteLog): Promise<SandboxExit> {
    const { timeoutMs, secrets, source: given, build, services, cache, ...more } = this.request;
    const { results: _, artifacts: __, keepFailedMs: ___, ...others } = more;
    const { filesBuild, serviceBuilds = {}, ...asked } = others;
    const turnAt = performance.now();
    const { sources, executor, packPath } = this.#deps;
    const { signal } = this.#opening;
    const progress = (text: string) => {
      if (!this.#finished) output.append(Buffer.from(text));
    };
    const { request } = this;
    const tree = build && (await borrowTree(sources, build.source));
    const builds: Record<string, SandboxBuild> = {};
    for (const [name, one] of Object.entries(serviceBuilds)) {
      builds[name] = { ...one, tree: await borrowTree(sources, one.source) };
    }
    this.#build = filesBuild
      ? await OpenBuild.open(sources, {
          ...{ request, filesBuild, executor, packPath, signal, say: progress },
        })
      : null;
    const source = this.#build ? this.#build.source : given;
    // Last, for nothing may fail before the next lines, where they are released if they are too late.
    this.#caches = cache
      ? await OpenCaches.open(sources, {
          request: cache,
          source: given,
          workdir: asked.workdir,
          executor,
          scratch: `${packPath}.cache`,
        })
      : null;
    const { layers = [], folders = [] } = this.#caches ?? {};
    if (this.#finished) {
      await this.#releaseMaterial();
      throw new ExecutorFault("ended before it ran");
    }
    const spec = {
      ...asked,
      ...(secrets && { env: { ...asked.env, ...secrets } }),
      ...(source && { source: { tree: source, path: source.path ?? defaultSourcePath, layers } }),
      ...(tree && { build: { ...build, tree } }),
      folders,
      ...(services && { services: servicesToStart(services, builds) }),
    };
    const sandbox = await this.#open(spec, {
      signal,
      progress,
      ...(this.#build && { instead: (image) => this.#built(image) }),
      ...(this.#services && { services: this.#services }),
    });
    this.#sandbox = sandbox;
    if (this.#finished) await sandbox.dispose();
    if (this.#ending) throw new ExecutorFault("ended before it ran");
    this.#deps.metrics.started(performance.now() - turnAt);
    this.#tell({ type: "started", sandbox: sandbox.id });

    const timers: Silence[] = [];
    if (timeoutMs !== undefined) {
      const timeUp = () => {
        // What has ended did so in time, however long it takes to learn how.
        if (this.#ending || !sandbox.kill("SIGTERM")) return;
        this.#ending = { kind: "timed-out", afterMs: timeoutMs };
        timers.push(onSilence(this.#deps.graceMs, () => this.end({ kind: "cancelled" })));
      };
      timers.push(onSilence(Math.min(timeoutMs, longestTimerMs), timeUp));
    }
    try {
      return await sandbox.run((chunk) => this.#keep(chunk, output));
    } finally {
      for (const timer of timers) timer.stop();
    }
  }

  /** What stands for the sandbox of a command that need not run; it saves nothing in its caches. */
  async #built(image: string): Promise<Sandbox | null> {
    const instead = await this.#build!.instead(image);
    if (!instead) return null;
    await this.#caches?.release();
    this.#caches = null;
    return instead;
  }

  /** Between what the command writes. */
  #say(text: string) {
    if (this.#finished || this.#output?.error) return;
    this.#output?.append(Buffer.from(this.#atLineStart ? text : `\n${text}`));
    this.#atLineStart = true;
  }

  #keep(chunk: Uint8Array, output: ByteLog): Promise<void> | undefined {
    if (output.error) {
      this.end(faulted(spoolFault(output.error)));
    }
    // After giving up, or on a full disk, the rest is read and dropped, so that the engine can go on.
    if (output.error || this.#finished || chunk.length === 0) return undefined;
    this.#atLineStart = chunk.at(-1) === lineFeed;
    return output.append(chunk);
  }

  #outcomeOf({ exitCode, outOfMemory, outOfProcesses = false, build }: SandboxExit): Outcome {
    // A command that lost a child to the memory limit and still succeeded has coped with it.
    if (outOfMemory && exitCode !== 0) {
      const { memoryBytes } = this.request;
      // Without a limit of its own it was the machine that had none left, and took it for that of all commands.
      return memoryBytes === undefined
        ? faulted(machineOutOfMemory())
        : { kind: "out-of-memory", limitBytes: memoryBytes };
    }
    const { pids } = this.request;
    const crowded = outOfProcesses && exitCode !== 0 && pids !== undefined;
    if (crowded && this.#ending?.kind === "timed-out") {
      this.#ending = { ...this.#ending, processLimit: pids };
    }
    return {
      kind: "exited",
      exitCode,
      ...(crowded && { processLimit: pids }),
      ...(build && { build }),
    };
  }

  /** Without what stood beside it a command cannot pass, and is no red test. */
  async #unlessServiceLost(outcome: Outcome): Promise<Outcome> {
    const sandbox = this.#sandbox;
    if (!sandbox?.lostService || !isRed(this.#ending ?? outcome)) return outcome;
    if (!this.#mayBeKept(outcome)) await sandbox.endServices?.();
    const lost = await sandbox.lostService();
    if (!lost) return outcome;
    if (this.#ending?.kind === "timed-out") this.#ending = null;
    return faulted(lost);
  }

  #faulted(error: unknown): Outcome {
    // That its time was up says something of a command only where it did end then. Where that is not known it is not
    // red: the engine hangs, or is gone, and another try is to tell.
    const isTimeUp = this.#ending?.kind === "timed-out";
    if (isTimeUp) this.#ending = null;
    // What fails because it is being ended is no trouble of the engine.
    if (!this.#ending) this.#deps.metrics.engineFailed();
    return { ...faulted(error), ...(isTimeUp && { workerLost: true }) };
  }

  #tell(event: ExecutionEvent) {
    this.#events.push(event);
    this.#changes.ring();
  }
}
