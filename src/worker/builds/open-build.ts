// One command that is run for the files that it leaves: what it sees of its source, whether it has to run at all, and
// what is kept of it. Its key is made of all that it can see, so that an answer from before is the answer of now.

import { createHash, randomBytes } from "node:crypto";
import { asError } from "../../lib/as-error.js";
import { formatBytes } from "../../lib/units.js";
import { hashOf, type Manifest } from "../../source/manifest.js";
import type { FilesBuild } from "../../wire/files-build.js";
import type { BuildResult } from "../../wire/image-build.js";
import { type CommandSource, defaultSourcePath } from "../../wire/source.js";
import type { CollectedFiles, CommandRequest } from "../../wire/worker.js";
import type { CacheName } from "../caches/cache-store.js";
import { type Executor, ExecutorFault, type Sandbox } from "../executors/executor.js";
import type { Sources } from "../sources/sources.js";
import type { BuiltFiles, BuiltRecord, Turn } from "./built-files.js";
import { partOf } from "./reads.js";

export interface OpenBuildOptions {
  readonly request: CommandRequest;
  readonly filesBuild: FilesBuild;
  readonly executor: Pick<Executor, "name" | "isolated">;
  /** Where the files are put that the command has left. */
  readonly packPath: string;
  /** Ends the wait for others who make the same. */
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/** In the key: what an older form has kept is of no use to a newer one. */
const form = "bettertest files 1";

export class OpenBuild {
  readonly #options: OpenBuildOptions;
  readonly #sources: Pick<Sources, "store" | "builtFiles">;
  /** Of the source what the command reads; null: all of it. */
  readonly #part: Manifest | null;
  /** What it sees. */
  readonly source: CommandSource | undefined;
  /** What there is to say of the files that it reads. */
  readonly notes: readonly string[];
  #kept: BuiltFiles | null = null;
  #name: CacheName | null = null;
  #turn: Turn | null = null;
  #asking = new AbortController();
  #record: BuiltRecord | null = null;
  #isCached = false;

  private constructor(
    sources: Pick<Sources, "store" | "builtFiles">,
    options: OpenBuildOptions,
    part: { readonly manifest: Manifest | null; readonly notes: readonly string[] },
  ) {
    this.#sources = sources;
    this.#options = options;
    this.#part = part.manifest;
    this.notes = part.notes;
    const { source } = options.request;
    this.source = source && part.manifest ? { ...source, tree: hashOf(part.manifest) } : source;
  }

  /** Rejects with an ExecutorFault. */
  static async open(
    sources: Pick<Sources, "store" | "builtFiles">,
    options: OpenBuildOptions,
  ): Promise<OpenBuild> {
    const { results, source } = options.request;
    if (results) throw new ExecutorFault("a build has no results: tests always run");
    const { reads } = options.filesBuild;
    if (!reads || !source) return new OpenBuild(sources, options, { manifest: null, notes: [] });
    const manifest = (await sources.store()).manifestOf(source);
    if (!manifest)
      throw new ExecutorFault(`the worker has no source tree ${source.tree} (any more)`);
    const { unmatched, ...part } = partOf(manifest, reads);
    const notes = unmatched.map((pattern) => `reads: there is no file ${pattern}`);
    return new OpenBuild(sources, options, { ...part, notes });
  }

  /**
   * To be asked when it is known which image the command would run in: what stands for its sandbox where all that it
   * would leave is here already. Null: it has to run.
   */
  async instead(imageId: string): Promise<Sandbox | null> {
    const { executor, request, packPath, signal, say } = this.#options;
    // Whatever else there is on the machine is not in the key.
    if (!executor.isolated && !request.source) return null;
    const name = this.#nameWith(imageId);
    if (!this.#turn || this.#name?.key !== name.key) {
      this.release();
      const still = AbortSignal.any([signal, this.#asking.signal]);
      const kept = await this.#sources.builtFiles();
      const waits = () => say("Waiting for the same build, which runs already\n");
      const found = await kept.find(name, { packPath, signal: still, waits });
      if ("end" in found && still.aborted) found.end();
      still.throwIfAborted();
      if (!("end" in found)) return this.#takeOver(found);
      this.#kept = kept;
      this.#name = name;
      this.#turn = found;
    }
    await this.#layOut();
    return null;
  }

  #nameWith(imageId: string): CacheName {
    const { executor, request, filesBuild } = this.#options;
    const { command, env = {}, secrets = {}, workdir, user, network, artifacts } = request;
    const { source } = this;
    const made = [
      ...[form, executor.name, imageId, command],
      Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1)),
      // Not their values: whoever sees a key should learn nothing of them.
      Object.keys(secrets).sort(),
      ...[workdir ?? null, user ?? null, network ?? true],
      source ? [source.tree, source.path ?? defaultSourcePath] : null,
      artifacts ?? [],
    ];
    const group = hashText(JSON.stringify(["files", filesBuild.scope]));
    return { group, key: hashText(JSON.stringify(made)) };
  }

  /** The part of the tree is a tree of its own, made of contents that are here. */
  async #layOut(): Promise<void> {
    const { source } = this;
    if (!source || !this.#part) return;
    const store = await this.#sources.store();
    const changes = { removed: [], set: this.#part };
    const { status } = await store.offer(source, { base: null, changes });
    if (status !== "ready") throw new ExecutorFault("the source is not in the store (any more)");
  }

  #takeOver(record: BuiltRecord): Sandbox {
    this.#record = record;
    this.#isCached = true;
    const { by, madeAt, files } = record;
    const whose = by ? `by run ${by.run} (${by.task}), ` : "";
    const line = `cached: built ${whose}${new Date(madeAt).toISOString()}, ${formatBytes(files.bytes)}\n`;
    return {
      id: `cached-${randomBytes(4).toString("hex")}`,
      run: async (sink) => {
        await sink(Buffer.from(line));
        return { exitCode: 0, outOfMemory: false };
      },
      kill: () => false,
      dispose: async () => {},
    };
  }

  /** Those that were here already, where they were asked for; the command has not run then. */
  get cached(): CollectedFiles | null {
    return this.#isCached ? (this.#record?.files ?? null) : null;
  }

  /** Keeps what a command has left that has passed; gives what there is to say of that. Never rejects. */
  async save(files: CollectedFiles, signal: AbortSignal): Promise<string[]> {
    const { packPath, filesBuild } = this.#options;
    this.#record = { files, madeAt: Date.now(), by: filesBuild.by ?? null };
    if (!this.#kept || !this.#name || files.bytes === 0) return [];
    const problem = await this.#kept
      .save(this.#name, this.#record, { packPath, signal })
      .catch((error: unknown) => asError(error).message);
    return problem === null ? [] : [`what was built is not kept for later: ${problem}`];
  }

  /** Of a command that has passed, or need not run. */
  result(): BuildResult {
    const { madeAt = Date.now(), by = null } = this.#record ?? {};
    return { kind: "files", cached: this.#isCached, madeAt, by };
  }

  /** Others who wait for the same are to wait no more, and this one waits no more for others. Safe to call twice. */
  release(): void {
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#turn?.end();
    this.#turn = null;
  }
}

function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
