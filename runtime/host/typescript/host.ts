// The boss's side of a TypeScript pipedef: one home, whatever its kind, behind the interface of all hosts.

import { formatDuration } from "../../../src/lib/units.js";
import type { Fault, TaskEnd } from "../../../src/model/failure.js";
import { type Pipeline, type TaskRef, taskLabel } from "../../../src/model/pipeline.js";
import type { HostOptions, LoadResult, PipedefHost, TaskIo } from "../host.js";
import { boundedLoadOutput } from "../load-output.js";
import { repoRoot, shownLocation } from "../repo-root.js";
import { Attempt } from "./attempt.js";
import { Heartbeat } from "./heartbeat.js";
import type { Home } from "./home.js";
import { KeptTransforms } from "./kept-transforms.js";
import { type DiscoveredStage, FromHome, type LoadFailure } from "./messages.js";
import { createHostPool, type HomeSource } from "./pool.js";
import { outOfMemory } from "./process-exit.js";
import { Sources } from "./sources.js";

/** A pool makes it quick; without one, a home is started for this pipedef alone. */
export async function openTypeScriptHost(
  options: HostOptions,
  pool?: HomeSource,
): Promise<PipedefHost> {
  const from = pool ?? createHostPool({ spares: 0 });
  const home = await from.take(options);
  return new TypeScriptHost(home, options, from);
}

function inBase64(sources: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries(
    [...sources].map(([path, bytes]) => [path, Buffer.from(bytes).toString("base64")]),
  );
}

const loadGraceMs = 1000;

type Loaded =
  | {
      readonly ok: true;
      readonly stages: readonly DiscoveredStage[];
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly failure: LoadFailure };

class TypeScriptHost implements PipedefHost {
  readonly broken: Promise<Fault>;
  #home: Home;
  #options: HostOptions;
  #sources: Sources;
  #loaded: ((result: Loaded | Fault) => void) | undefined;
  #attempts = new Map<number, Attempt>();
  #lastId = 0;
  #fault: Fault | undefined;
  #break!: (fault: Fault) => void;
  #stalled = false;
  #isReady: () => void = () => {};
  #ready = new Promise<void>((resolve) => {
    this.#isReady = resolve;
  });
  #closing: Promise<void> | undefined;
  readonly #loadOutput: (bytes: Uint8Array) => void;
  readonly #needsTsx: () => void;
  #heartbeat: Heartbeat;

  constructor(home: Home, options: HostOptions, { needsTsx }: Pick<HomeSource, "needsTsx">) {
    this.#home = home;
    this.#needsTsx = needsTsx;
    this.#options = options;
    this.#loadOutput = boundedLoadOutput(options.onLoadOutput);
    const { pipedef, cacheFolder } = options;
    const kept = cacheFolder === undefined ? undefined : KeptTransforms.in(cacheFolder);
    this.#sources = new Sources(pipedef, repoRoot(pipedef), kept);
    this.broken = new Promise((resolve) => {
      this.#break = (fault) => {
        if (this.#fault || this.#closing) return;
        this.#fault = fault;
        this.#heartbeat.stop();
        for (const attempt of this.#attempts.values()) attempt.finish({ status: "errored", fault });
        resolve(fault);
      };
    });
    this.#heartbeat = new Heartbeat({
      timeoutMs: options.stallTimeoutMs,
      ping: () => home.send({ type: "ping" }),
      excused: () => home.waitsForBoss,
      stalled: () => this.#break(this.#stallFault()),
    });
    home.onRawOutput = this.#loadOutput;
    home.died.then((message) => this.#break({ message: `${message}${this.#during()}` }));
    home.receive((head, body) => this.#receive(head, body));
  }

  async load(): Promise<LoadResult> {
    const { pipedef, env, sources, cacheFolder } = this.#options;
    const loaded = new Promise<Loaded | Fault>((resolve) => {
      this.#loaded = resolve;
    });
    // While the home starts.
    const unreadable = sources?.has(pipedef) ? null : await this.#sources.beginWith(pipedef);
    if (unreadable !== null) {
      const message = `the pipedef cannot be read: ${unreadable}`;
      return { ok: false, files: this.#sources.files, problem: { kind: "import", message } };
    }
    // How long a home takes to start is not the pipedef's doing.
    let isReady = false;
    const ready = this.#ready.then(() => {
      isReady = true;
    });
    await Promise.race([ready, this.broken, loaded]);
    this.#heartbeat.start();
    this.#home.send({
      type: "load",
      pipedef,
      root: this.#sources.root,
      env,
      ...(cacheFolder !== undefined && { cacheFolder }),
      ...(sources && { sources: inBase64(sources) }),
    });
    const result = await this.#withinLoadTime(Promise.race([loaded, this.broken]));
    this.#heartbeat.stop();
    const { files } = this.#sources;
    if (!("ok" in result)) {
      // A home that has started is ended by what runs in it.
      const kind = this.#stalled ? "stalled" : isReady ? "threw" : "host";
      return { ok: false, files, problem: { kind, ...result } };
    }
    if (!result.ok) {
      return { ok: false, files, problem: await this.#sources.problemOf(result.failure) };
    }
    const duplicate = await this.#sources.duplicate(result.stages);
    if (duplicate) return { ok: false, files, problem: duplicate };
    return { ok: true, files, pipeline: this.#pipeline(result.stages, result.warnings) };
  }

  async runTask(
    task: TaskRef & { readonly attempt: number },
    io: TaskIo,
    signal: AbortSignal,
  ): Promise<TaskEnd> {
    if (this.#fault) return { status: "errored", fault: this.#fault };
    if (signal.aborted) return { status: "cancelled" };
    this.#lastId += 1;
    const id = this.#lastId;
    const attempt = new Attempt({ id, label: taskLabel(task) }, io, signal, this.#home);
    this.#attempts.set(id, attempt);
    this.#heartbeat.start();
    this.#home.send({ type: "run", id, stage: task.stage, task: task.task });
    const end = await attempt.end;
    this.#attempts.delete(id);
    if (this.#attempts.size === 0) this.#heartbeat.stop();
    return end;
  }

  close(): Promise<void> {
    if (!this.#closing) {
      this.#heartbeat.stop();
      this.#closing = this.#home.end();
      // Nobody may wait for ever on what a closed host was doing.
      this.#loaded?.({ message: "the pipedef's host was closed while it loaded" });
      for (const attempt of this.#attempts.values()) attempt.finish({ status: "cancelled" });
    }
    return this.#closing;
  }

  #receive(head: unknown, body: Uint8Array): Promise<void> | undefined {
    const parsed = FromHome.safeParse(head);
    if (!parsed.success) {
      this.#break({
        message: `the pipedef's home sent a message that makes no sense: ${parsed.error.message}`,
      });
      return undefined;
    }
    const message = parsed.data;
    switch (message.type) {
      case "file":
        this.#sources.add(message.path);
        return undefined;
      case "needs-tsx":
        this.#needsTsx();
        return undefined;
      case "transform":
        return this.#transform(message.id, message.path, body);
      case "loaded":
        this.#loaded?.({ ok: true, stages: message.stages, warnings: message.warnings });
        return undefined;
      case "load-failed":
        this.#loaded?.({ ok: false, failure: message.failure });
        return undefined;
      case "output": {
        const attempt = message.task === null ? undefined : this.#attempts.get(message.task);
        if (attempt) return attempt.print(body);
        this.#loadOutput(body);
        return undefined;
      }
      case "call":
        this.#call(message);
        return undefined;
      case "ended":
        this.#attempts.get(message.id)?.finish(message.end as TaskEnd);
        return undefined;
      case "broken":
        this.#break(message.fault as Fault);
        return undefined;
      case "pong":
        this.#heartbeat.pong();
        if (message.bufferBytes > this.#options.memoryBytes) {
          this.#break({ message: `${outOfMemory(this.#options.memoryBytes)}${this.#during()}` });
        }
        return undefined;
      case "ready":
        this.#isReady();
        return undefined;
      default:
        return message satisfies never;
    }
  }

  #call({ id, call, worker, request }: Extract<FromHome, { readonly type: "call" }>): void {
    const attempt = this.#attempts.get(id);
    if (request.refused === null) attempt?.call(call, { worker, request: request.command });
    else attempt?.refuse(call, request.refused);
  }

  /** The engine cannot say which top-level await is the one that never settles; only that time is up. */
  async #withinLoadTime(result: Promise<Loaded | Fault>): Promise<Loaded | Fault> {
    const { stallTimeoutMs, pipedef } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<Loaded>((resolve) => {
      timer = setTimeout(() => {
        const failure: LoadFailure = {
          kind: "stalled",
          message: `loading did not end within ${formatDuration(stallTimeoutMs)}`,
          place: { file: pipedef, line: 1 },
          hint: "Does a top-level await never settle? Work belongs into tasks.",
        };
        resolve({ ok: false, failure });
        // Later than the heartbeat, which knows more where the event loop stands still.
      }, stallTimeoutMs + loadGraceMs);
    });
    try {
      return await Promise.race([result, tooLong]);
    } finally {
      clearTimeout(timer);
    }
  }

  #stallFault(): Fault {
    this.#stalled = true;
    const time = formatDuration(this.#options.stallTimeoutMs);
    return {
      message: `the pipedef's event loop stood still for ${time}${this.#during()}`,
      hint: "Is there an endless loop, or a long synchronous call? Use run(...) or asynchronous functions.",
    };
  }

  /** Which tasks were in flight: one of them is to blame, and often there is only one. */
  #during(): string {
    const labels = [...this.#attempts.values()].map(({ label }) => label);
    if (labels.length === 0) return "";
    const shown = labels.slice(0, 5).join(", ");
    return labels.length === 1
      ? ` in task ${shown}`
      : ` while these tasks ran: ${shown}${labels.length > 5 ? ", ..." : ""}`;
  }

  async #transform(id: number, path: string, source: Uint8Array): Promise<void> {
    const code = await this.#sources.transform(path, source);
    if (this.#closing) return;
    this.#home.send({ type: "transformed", id, ok: code !== null }, code ?? undefined);
  }

  #pipeline(stages: readonly DiscoveredStage[], warnings: readonly string[]): Pipeline {
    return {
      warnings,
      stages: stages.map(({ name, always, tasks }) => ({
        name,
        always,
        tasks: tasks.map((task) => ({
          name: task.name,
          ...(task.place && { location: shownLocation(task.place, this.#sources.root) }),
          ...(task.retries && { retries: task.retries }),
        })),
      })),
    };
  }
}
