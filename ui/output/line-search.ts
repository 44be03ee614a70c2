// A search through all of an output: the boss reads it, and says which lines match.

import type { OutputMatches } from "../../src/wire/boss.js";
import { reasonOf } from "../request.js";
import { jsonLines } from "./json-lines.js";
import { LineNumbers } from "./matches.js";
import type { OutputSource } from "./output-source.js";
import { type Query, queryParameters } from "./query.js";

export class LineSearch {
  readonly found = new LineNumbers();
  /** Lines that match, those beyond the found ones too. */
  count = 0;
  isDone = false;
  problem: string | null = null;
  readonly #ended = new AbortController();
  readonly #source: OutputSource;
  readonly #what: Readonly<Record<string, string>>;
  readonly #changed: () => void;
  /** Of the output, when it was searched last. */
  #bytes = 0;
  #weights: number[] = [];

  constructor(source: OutputSource, what: Query | "errors", changed: () => void) {
    this.#source = source;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#what =
      what === "errors"
        ? { errors: "1" }
        : Object.fromEntries(new URLSearchParams(queryParameters(what)));
    this.#changed = changed;
    void this.#run(1);
  }

  cancel(): void {
    this.#ended.abort();
  }

  /** Searches what has come since. */
  goOn(): void {
    const bytes = this.#source.extent?.bytes ?? 0;
    if (!this.isDone || this.problem !== null || bytes <= this.#bytes) return;
    void this.#run(this.#lastLine);
  }
  #lastLine = 1;

  /** The most telling errors: where a known tool speaks, what merely sounds like an error is left out. */
  strongest(): LineNumbers {
    if (!this.#weights.includes(2)) return this.found;
    const strong = new LineNumbers();
    strong.add(
      this.#weights.flatMap((weight, index) => (weight === 2 ? [this.found.at(index)] : [])),
    );
    return strong;
  }

  /** Resolves when all is searched. */
  readonly done: Promise<void>;
  #resolve: () => void = () => {};

  async #run(from: number) {
    const { signal } = this.#ended;
    this.isDone = false;
    // The last line may go on; it is searched again then.
    const known = this.found.from(from);
    const last = known < this.found.length ? this.found.at(known) : 0;
    const before = this.count - (this.found.length - known);
    this.#lastLine = Math.max(1, this.#source.lines);
    this.#bytes = this.#source.extent?.bytes ?? 0;
    try {
      const url = this.#source.url("/search", { ...this.#what, from });
      for await (const part of jsonLines<OutputMatches>(url, signal)) {
        if (part.error !== undefined) this.problem = part.error;
        const isKnown = last !== 0 && part.lines[0] === last;
        this.found.add(isKnown ? part.lines.slice(1) : part.lines);
        if (part.weights) this.#weights.push(...(isKnown ? part.weights.slice(1) : part.weights));
        this.count = Math.max(this.count, before + part.count);
        this.#changed();
      }
    } catch (error) {
      if (signal.aborted) return;
      this.problem = reasonOf(error);
    }
    this.isDone = true;
    this.#resolve();
    this.#changed();
  }
}
