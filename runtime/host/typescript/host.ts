// The boss's side of a TypeScript pipedef: one home, whatever its kind, behind the interface of all hosts.

import type { Fault, TaskEnd } from "../../../src/model/failure.js";
import type { Pipeline, TaskRef } from "../../../src/model/pipeline.js";
import type { HostOptions, LoadResult, PipedefHost, TaskIo } from "../host.js";
import { Attempt } from "./attempt.js";
import { explainLoadFailure, problemOfNote } from "./explain.js";
import type { Home } from "./home.js";
import { type DiscoveredStage, FromHome, type LoadFailure } from "./messages.js";
import { createHostPool, type HostPool } from "./pool.js";
import { repoRoot, shownLocation } from "./repo-root.js";
import { type SourceNote, transformSource } from "./transform.js";

/** A pool makes it quick; without one, a home is started for this pipedef alone. */
export async function openTypeScriptHost(
  options: HostOptions,
  pool?: HostPool,
): Promise<PipedefHost> {
  if (pool) return new TypeScriptHost(await pool.take(options), options);
  const own = createHostPool({ spares: 0 });
  return new TypeScriptHost(await own.take(options), options);
}

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
  #root: string;
  #files = new Set<string>();
  #notes: SourceNote[] = [];
  #syntaxError: SourceNote | undefined;
  #loaded: ((result: Loaded) => void) | undefined;
  #attempts = new Map<number, Attempt>();
  #lastId = 0;
  #fault: Fault | undefined;
  #break!: (fault: Fault) => void;
  #closing: Promise<void> | undefined;

  constructor(home: Home, options: HostOptions) {
    this.#home = home;
    this.#options = options;
    this.#root = repoRoot(options.pipedef);
    this.broken = new Promise((resolve) => {
      this.#break = (fault) => {
        if (this.#fault || this.#closing) return;
        this.#fault = fault;
        for (const attempt of this.#attempts.values()) attempt.finish({ status: "errored", fault });
        resolve(fault);
      };
    });
    home.onRawOutput = (bytes) => this.#options.onLoadOutput?.(bytes);
    home.died.then((message) => this.#break({ message }));
    home.receive((head, body) => this.#receive(head, body));
  }

  async load(): Promise<LoadResult> {
    const { pipedef, env } = this.#options;
    const loaded = new Promise<Loaded>((resolve) => {
      this.#loaded = resolve;
    });
    this.#home.send({ type: "load", pipedef, root: this.#root, env });
    const result = await Promise.race([loaded, this.broken]);
    const files = [...this.#files];
    if (!("ok" in result)) {
      return { ok: false, files, problem: { kind: "host", message: result.message } };
    }
    if (!result.ok) {
      if (this.#syntaxError) {
        return { ok: false, files, problem: problemOfNote(this.#syntaxError, this.#root) };
      }
      return {
        ok: false,
        files,
        problem: await explainLoadFailure(result.failure, files, this.#root),
      };
    }
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
    const attempt = new Attempt(id, io, signal, this.#home);
    this.#attempts.set(id, attempt);
    this.#home.send({ type: "run", id, stage: task.stage, task: task.task });
    const end = await attempt.end;
    this.#attempts.delete(id);
    return end;
  }

  close(): Promise<void> {
    this.#closing ??= this.#home.end();
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
        this.#files.add(message.path);
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
        this.#options.onLoadOutput?.(body);
        return undefined;
      }
      case "call":
        this.#attempts.get(message.id)?.call(message.call, message);
        return undefined;
      case "ended":
        this.#attempts.get(message.id)?.finish(message.end as TaskEnd);
        return undefined;
      case "broken":
        this.#break(message.fault as Fault);
        return undefined;
      default:
        return undefined;
    }
  }

  async #transform(id: number, path: string, source: Uint8Array): Promise<void> {
    const result = await transformSource(path, source);
    if (this.#closing) return;
    if (result.ok) this.#notes.push(...result.warnings);
    else this.#syntaxError ??= result.error;
    const code = result.ok ? Buffer.from(result.code) : undefined;
    this.#home.send({ type: "transformed", id, ok: result.ok }, code);
  }

  #pipeline(stages: readonly DiscoveredStage[], warnings: readonly string[]): Pipeline {
    return {
      warnings,
      stages: stages.map(({ name, always, tasks }) => ({
        name,
        always,
        tasks: tasks.map((task) => ({
          name: task.name,
          ...(task.place && { location: shownLocation(task.place, this.#root) }),
        })),
      })),
    };
  }
}
