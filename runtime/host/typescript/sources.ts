// The files of one load: which there are, what esbuild says about them, and what that means.

import { readFile } from "node:fs/promises";
import type { PipedefProblem } from "../host.js";
import { explainLoadFailure, firstDuplicate, problemOfNote } from "./explain.js";
import type { KeptTransforms } from "./kept-transforms.js";
import type { DiscoveredStage, LoadFailure } from "./messages.js";
import { type SourceNote, transformSource } from "./transform.js";

/** A pipedef has tens; only malice has more than this. */
const maxFiles = 100_000;

type Transforming = ReturnType<typeof transformSource>;

export class Sources {
  readonly root: string;
  readonly #kept: KeptTransforms | undefined;
  #files: Set<string>;
  #transformed = new Set<string>();
  #begun:
    | { readonly path: string; readonly source: Buffer; readonly result: Transforming }
    | undefined;
  #notes: SourceNote[] = [];
  #syntaxError: SourceNote | undefined;

  constructor(pipedef: string, root: string, kept: KeptTransforms | undefined) {
    this.root = root;
    this.#kept = kept;
    this.#files = new Set([pipedef]);
  }

  /** In the order in which the load came to them. */
  get files(): string[] {
    return [...this.#files];
  }

  add(path: string): void {
    if (this.#files.size < maxFiles) this.#files.add(path);
  }

  /** Transforms a file before its home asks for it. Resolves with why it cannot be read, or null. */
  async beginWith(path: string): Promise<string | null> {
    try {
      const source = await readFile(path);
      this.#begun = { path, source, result: transformSource(path, source, this.#kept) };
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** The file as JavaScript; null where it has an error, which is kept with its place. */
  async transform(path: string, source: Uint8Array): Promise<Uint8Array | null> {
    this.#transformed.add(path);
    const result = await this.#transforming(path, source);
    if (result.ok) {
      this.#notes.push(...result.warnings);
      return Buffer.from(result.code);
    }
    this.#syntaxError ??= result.error;
    return null;
  }

  #transforming(path: string, source: Uint8Array): Transforming {
    const begun = this.#begun;
    // It may have been saved since.
    if (begun?.path === path && begun.source.equals(source)) return begun.result;
    return transformSource(path, source, this.#kept);
  }

  problemOf(failure: LoadFailure): Promise<PipedefProblem> | PipedefProblem {
    // Another failure than this one came after a broken file that the pipedef could do without.
    if (this.#syntaxError && failure.message.endsWith("cannot be transformed")) {
      return problemOfNote(this.#syntaxError, this.root);
    }
    return explainLoadFailure(failure, this.files, this.root);
  }

  async duplicate(stages: readonly DiscoveredStage[]): Promise<PipedefProblem | undefined> {
    await this.#readOthers();
    return firstDuplicate(this.#notes, stages, this.root);
  }

  /** Not all files go through the boss (CommonJS never does); their warnings are wanted all the same. */
  async #readOthers(): Promise<void> {
    for (const file of this.#files) {
      if (this.#transformed.has(file) || !/\.[cm]?[jt]sx?$/.test(file)) continue;
      const source = await readFile(file).catch(() => null);
      const result = source && (await this.#transforming(file, source));
      if (result?.ok) this.#notes.push(...result.warnings);
    }
  }
}
