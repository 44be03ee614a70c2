// The pipelines a boss offers, each kept in step with its file on disk.

import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { LoadResult, PipedefHost, PipedefProblem } from "../../runtime/host/host.js";
import { describeProblem, originOf } from "../../runtime/host/problem.js";
import { WatchedFiles } from "../lib/watched-files.js";
import type { PipelineView } from "../wire/boss.js";

/** Editors write a file in several steps; this joins them, and stays far below what a person notices. */
const settleMs = 25;

export const pipedefNames = ["ts", "mts", "js", "mjs", "cts", "cjs", "py"].map(
  (extension) => `pipedef.${extension}`,
);

export interface PipelinesOptions {
  /** Paths of pipedefs, or of folders that hold some. */
  readonly pipedefs: readonly string[];
  readonly openHost: (pipedef: string) => Promise<PipedefHost>;
  readonly watch: boolean;
  /** Which loads serve a run too: see Pipelines.takeLoaded. */
  readonly keepLoads: "none" | "first" | "each";
  readonly onChange: () => void;
}

export class Pipelines {
  readonly #entries: Entry[];
  /** Resolves when each pipedef was loaded once, well or badly. */
  readonly ready: Promise<void>;

  constructor(options: PipelinesOptions) {
    const paths = options.pipedefs.flatMap(findPipedefs);
    const names = uniqueNames(paths);
    this.#entries = paths.map((path, index) => new Entry(names[index]!, path, options));
    this.ready = Promise.all(this.#entries.map((entry) => entry.reload())).then(() => undefined);
  }

  views(): PipelineView[] {
    return this.#entries.map((entry) => entry.view);
  }

  /** By name; without one, the only one there is. */
  find(name: string | undefined): PipelineView | undefined {
    if (name === undefined) return this.#entries.length === 1 ? this.#entries[0]!.view : undefined;
    return this.#entries.find((entry) => entry.view.name === name)?.view;
  }

  /** Loads all of them again, whether or not a file has changed. */
  async reload(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => entry.reload()));
  }

  /** The files that the pipedefs were loaded from. */
  files(): string[] {
    return this.#entries.flatMap((entry) => entry.files);
  }

  /** The host that a load has left, once. Its pipedef is loaded, and none of its tasks has run. */
  takeLoaded(name: string): PipedefHost | undefined {
    return this.#entries.find((entry) => entry.view.name === name)?.takeLoaded();
  }

  async close(): Promise<void> {
    await Promise.all(this.#entries.map((entry) => entry.close()));
  }
}

class Entry {
  view: PipelineView;
  readonly #options: PipelinesOptions;
  readonly #watched = new WatchedFiles(() => this.#changed());
  #settle: NodeJS.Timeout | undefined;
  #loading: Promise<void> | null = null;
  #stale = false;
  #closed = false;
  /** The one of the latest load. */
  #opened: PipedefHost | undefined;
  #loaded: PipedefHost | undefined;
  #keepLoads: PipelinesOptions["keepLoads"];
  files: readonly string[];

  constructor(name: string, path: string, options: PipelinesOptions) {
    this.view = { name, pipedef: path, pipeline: null, problem: null };
    this.#options = options;
    this.#keepLoads = options.keepLoads;
    this.files = [path];
    // Watch before the first load, so that no save in between goes unseen.
    if (options.watch) this.#watched.watch([path]);
  }

  /** A save during a load makes one more load, not two at once. */
  reload(): Promise<void> {
    this.#stale = true;
    this.#loading ??= (async () => {
      while (this.#stale && !this.#closed) {
        this.#stale = false;
        await this.#load();
      }
      this.#loading = null;
    })();
    return this.#loading;
  }

  async #load(): Promise<void> {
    const path = this.view.pipedef;
    const { loaded, host } = await load(path, async (pipedef) => {
      this.#opened = await this.#options.openHost(pipedef);
      if (!this.#closed) return this.#opened;
      await this.#opened.close();
      throw new Error("the boss is stopping");
    });
    // Nobody has taken the one before.
    await this.takeLoaded()?.close();
    if (host && loaded.ok && this.#keepLoads !== "none" && !this.#closed)
      this.#loaded = alreadyLoaded(host, loaded);
    else await host?.close();
    if (this.#keepLoads === "first") this.#keepLoads = "none";
    if (this.#closed) return;
    this.files = [path, ...loaded.files];
    if (this.#options.watch) this.#watched.watch(this.files);
    // A broken file keeps the last good pipeline, and says what is wrong with the new one.
    const { problemOrigin: _, ...view } = this.view;
    this.view = loaded.ok
      ? { ...view, pipeline: loaded.pipeline, problem: null }
      : { ...view, ...problemOf(loaded.problem) };
    this.#options.onChange();
  }

  takeLoaded(): PipedefHost | undefined {
    const host = this.#loaded;
    this.#loaded = undefined;
    return host;
  }

  #changed(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => void this.reload(), settleMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#settle);
    this.#watched.close();
    // A load in progress may be one that never ends; the one that has ended is somebody's run now.
    if (this.#loading) await this.#opened?.close();
    await this.#loading;
    await this.takeLoaded()?.close();
  }
}

function problemOf(found: PipedefProblem): Pick<PipelineView, "problem" | "problemOrigin"> {
  const { origin } = originOf(found);
  return { problem: describeProblem(found), ...(origin && { problemOrigin: origin }) };
}

async function load(
  path: string,
  openHost: (pipedef: string) => Promise<PipedefHost>,
): Promise<{ readonly loaded: LoadResult; readonly host?: PipedefHost }> {
  let host: PipedefHost | undefined;
  try {
    host = await openHost(path);
    return { loaded: await host.load(), host };
  } catch (error) {
    await host?.close();
    const message = error instanceof Error ? error.message : String(error);
    return { loaded: { ok: false, problem: { kind: "host", message }, files: [] } };
  }
}

/** Whoever gets it may go through the order of calls from its beginning. */
function alreadyLoaded(host: PipedefHost, loaded: LoadResult): PipedefHost {
  return {
    load: async () => loaded,
    runTask: (task, io, signal) => host.runTask(task, io, signal),
    broken: host.broken,
    close: () => host.close(),
  };
}

/** A folder stands for the pipedefs in it, in its .bettertest, and in those of its subfolders. */
export function findPipedefs(path: string): string[] {
  const absolute = resolve(path);
  if (!statSync(absolute, { throwIfNoEntry: false })?.isDirectory()) return [absolute];
  const folders = [absolute, join(absolute, ".bettertest")];
  for (const entry of readdirSync(absolute, { withFileTypes: true })) {
    if (entry.isDirectory() && entry.name !== ".bettertest" && entry.name !== "node_modules") {
      folders.push(join(absolute, entry.name, ".bettertest"));
    }
  }
  return folders.flatMap((folder) =>
    pipedefNames
      .map((name) => join(folder, name))
      .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile()),
  );
}

/** The repo's folder names a pipeline; where two would be alike, as much of the path as tells them apart. */
function uniqueNames(paths: readonly string[]): string[] {
  const named = paths.map((path) => {
    const folder = dirname(path);
    return basename(folder) === ".bettertest" ? basename(dirname(folder)) : basename(folder);
  });
  const count = (name: string) => named.filter((other) => other === name).length;
  return named.map((name, index) => (count(name) === 1 ? name : paths[index]!));
}
