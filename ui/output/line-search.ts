// A search through all of an output: the boss reads it, and says which lines match.

import type { OutputMatches } from "../../src/wire/boss.js";
import { reasonOf } from "../refusal.js";
import { again } from "../request.js";
import { jsonLines } from "./json-lines.js";
import { LineNumbers } from "./matches.js";
import type { OutputSource } from "./output-source.js";
import { type Query, queryParameters } from "./query.js";

/** An output that grows is searched on so often at most. */
const againMs = 1000;

export class LineSearch {
  readonly found = new LineNumbers();
  /** Lines that match, those beyond the listed ones too. */
  count = 0;
  isDone = false;
  problem: string | null = null;
  /** Resolves when all is searched that was there at first. */
  readonly done: Promise<void>;
  #resolve: () => void = () => {};
  readonly #ended = new AbortController();
  readonly #source: OutputSource;
  readonly #what: Readonly<Record<string, string>>;
  readonly #changed: () => void;
  readonly #weights: number[] = [];
  /** How far the output went when it was searched last. */
  #lastLine = 1;
  #bytes = 0;
  #nextAt = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(source: OutputSource, what: Query | "errors", changed: () => void) {
    this.#source = source;
    this.#changed = changed;
    this.#what =
      what === "errors"
        ? { errors: "1" }
        : Object.fromEntries(new URLSearchParams(queryParameters(what)));
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    void this.#run(1);
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#ended.abort();
  }

  /** Searches what has come since. */
  goOn(): void {
    const bytes = this.#source.extent?.bytes ?? 0;
    if (!this.isDone || this.problem !== null || bytes <= this.#bytes) return;
    // More than anybody steps through.
    if (this.count > this.found.length) return;
    if (performance.now() < this.#nextAt) {
      // So that the last words are searched, too.
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#changed();
      }, againMs);
      return;
    }
    this.#nextAt = performance.now() + againMs;
    void this.#run(this.#lastLine);
  }

  /** The most telling errors: where a known tool speaks, what merely sounds like an error is left out. */
  strongest(): LineNumbers {
    if (!this.#weights.includes(2)) return this.found;
    const strong = new LineNumbers();
    strong.add(
      this.#weights.flatMap((weight, index) => (weight === 2 ? [this.found.at(index)] : [])),
    );
    return strong;
  }

  async #run(from: number) {
    const { signal } = this.#ended;
    this.isDone = false;
    this.#lastLine = Math.max(1, this.#source.lines);
    this.#bytes = this.#source.extent?.bytes ?? 0;
    // What was found from here on is found again: the last line may have gone on, and more than the page
    // knew of may have been searched.
    const known = this.found.from(from);
    const url = this.#source.url("/search", { ...this.#what, from });
    const read = async () => {
      let isFirst = true;
      for await (const part of jsonLines<OutputMatches>(url, signal)) {
        if (isFirst) {
          this.found.cut(known);
          this.#weights.length = Math.min(this.#weights.length, known);
          isFirst = false;
        }
        if (part.error !== undefined) this.problem = part.error;
        this.found.add(part.lines);
        for (const weight of part.weights ?? []) this.#weights.push(weight);
        this.count = known + part.count;
        this.#changed();
      }
    };
    try {
      // What the boss refuses, it refuses again; a connection that broke need not.
      await again(read, undefined, (error) => signal.aborted || !(error instanceof TypeError));
    } catch (error) {
      if (signal.aborted) return;
      this.problem = reasonOf(error);
    }
    this.isDone = true;
    this.#resolve();
    this.#changed();
  }
}
