// What a command has left that is wanted: files for whoever asked for it, and caches for the next ones.

import { asError } from "../lib/as-error.js";
import { orAborted } from "../lib/or-else.js";
import type { CollectedFiles, CommandRequest, Outcome } from "../wire/worker.js";
import type { OpenBuild } from "./builds/open-build.js";
import type { OpenCaches } from "./caches/open-caches.js";
import { ExecutorFault, type Sandbox } from "./executors/executor.js";
import { collectFiles } from "./sandbox-files.js";

/** However much there is to read: the slot is waited for. */
const filesMustBeReadWithinMs = 10 * 60_000;

export interface LeftBehindOptions {
  readonly request: Pick<CommandRequest, "results" | "artifacts">;
  /** Where the files are put. */
  readonly packPath: string;
  readonly maxArtifactBytes: number;
  /** Why the command is being ended from outside; null: it is not. */
  readonly ending: () => Outcome | null;
}

export class LeftBehind {
  readonly #options: LeftBehindOptions;
  readonly #stop = new AbortController();
  #isReading = false;
  #files: CollectedFiles | null = null;

  constructor(options: LeftBehindOptions) {
    this.#options = options;
  }

  /** Null: nothing was asked for. */
  get files(): CollectedFiles | null {
    return this.#files;
  }

  /** The command has ended, and its sandbox is read. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** Nobody wants it any more. */
  stop(): void {
    this.#stop.abort();
  }

  get #isUnwanted(): boolean {
    const ending = this.#options.ending();
    return ending !== null && ending.kind !== "timed-out";
  }

  /** What the command has left of what was asked for. */
  async collect(
    outcome: Outcome,
    { build, sandbox }: { readonly build: OpenBuild | null; readonly sandbox: Sandbox | null },
  ): Promise<void> {
    const { results = [], artifacts = [] } = this.#options.request;
    if (results.length + artifacts.length === 0 || this.#isUnwanted) return;
    // No command has run that could have left anything.
    if (outcome.kind === "exited" && outcome.build?.kind === "failed") return;
    this.#files = build?.cached ?? null;
    if (this.#files) return;
    this.#isReading = true;
    const late = AbortSignal.timeout(filesMustBeReadWithinMs);
    try {
      const files = sandbox?.files;
      if (!files) throw new ExecutorFault("this executor cannot read what a command has left");
      const { packPath, maxArtifactBytes } = this.#options;
      const signal = AbortSignal.any([this.#stop.signal, late]);
      await orAborted(sandbox?.settle?.() ?? Promise.resolve(), signal);
      const reading = collectFiles(files, {
        request: { results, artifacts },
        packPath,
        maxArtifactBytes,
        signal,
      });
      const { lost, ...collected } = await orAborted(reading, signal);
      if (build && lost.artifact !== null)
        throw new ExecutorFault(`what was built could not be kept whole: ${lost.artifact}`);
      if (lost.results !== null && this.#hasPassed(outcome))
        throw new ExecutorFault(`not all of its results could be read: ${lost.results}`);
      this.#files = collected.files;
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // Tests that failed may stand there, or what was built: such a command must not count as passed.
      const isWanted = results.length > 0 || build !== null;
      if (isWanted && this.#hasPassed(outcome)) throw error;
      this.#files = {
        bytes: 0,
        notes: [
          late.aborted
            ? "it took too long to read the files of the command"
            : asError(error).message,
        ],
      };
    }
  }

  #hasPassed(outcome: Outcome): outcome is Extract<Outcome, { kind: "exited" }> {
    const isWell = outcome.kind === "exited" && outcome.exitCode === 0;
    return isWell && this.#options.ending() === null;
  }

  /** For those who ask for the same later. */
  async saveBuild(outcome: Outcome, build: OpenBuild | null): Promise<Outcome> {
    const files = this.#files;
    if (!build || !files) return outcome;
    const hasPassed = this.#hasPassed(outcome);
    const isToSave = hasPassed && !build.cached;
    const saved = isToSave ? await build.save(files, this.#stop.signal) : [];
    this.#files = { ...files, notes: [...build.notes, ...files.notes, ...saved] };
    return hasPassed ? { ...outcome, build: build.result() } : outcome;
  }

  /** What a command has left that passed; of any other it cannot be known whether it is whole. */
  async saveCaches(
    outcome: Outcome,
    { caches, sandbox }: { readonly caches: OpenCaches | null; readonly sandbox: Sandbox | null },
  ): Promise<void> {
    if (!caches || this.#isUnwanted) return;
    const hasPassed = this.#hasPassed(outcome);
    let whyNot = hasPassed ? null : "the command did not pass";
    if (hasPassed && sandbox) {
      this.#isReading = true;
      const late = AbortSignal.timeout(filesMustBeReadWithinMs);
      const signal = AbortSignal.any([this.#stop.signal, late]);
      try {
        const saving = (async () => {
          await sandbox.settle?.();
          await caches.save(sandbox, signal);
        })();
        await orAborted(saving, signal);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        whyNot = late.aborted ? "it took too long" : asError(error).message;
      }
    }
    const { bytes = 0, notes = [] } = this.#files ?? {};
    this.#files = { bytes, notes: [...notes, ...caches.notes(whyNot)] };
  }
}
