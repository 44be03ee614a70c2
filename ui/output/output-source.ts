// One attempt's output as the page needs it: how far it goes, what can be folded, and the lines that are
// looked at. Only those are fetched, and of the others few are kept, so an output may be of any size.

import { decodeLook, type Look, plainLook } from "../../src/model/sgr.js";
import type {
  OutputExtent,
  OutputFold,
  OutputLine,
  OutputLines,
  OutputOutline,
} from "../../src/wire/boss.js";
import { isGone, reasonOf } from "../refusal.js";
import { ask, fetchAgain, refusalOf } from "../request.js";
import { type FoldKey, foldKey } from "./fold-map.js";
import { jsonLines } from "./json-lines.js";
import { lookAfter } from "./line-parts.js";

export const pageLines = 256;
const maxPages = 48;
const maxRetryMs = 8000;
const pageRetryMs = 2000;

export interface SourceLine {
  readonly content: OutputLine;
  /** Where it begins in the output. */
  readonly offset: number;
  /** How its text looks at its start. */
  readonly look: Look;
}

interface Page {
  readonly lines: readonly SourceLine[];
  /** As far as the output went when the page was fetched. */
  readonly bytes: number;
  /** No more will be added to its lines. */
  readonly isComplete: boolean;
}

export interface OutputPlace {
  /** Of the output itself; other addresses are below it. */
  readonly path: string;
  readonly attempt: number;
}

export function outputPath({ run, stage, task }: { run: number; stage: string; task: string }) {
  return `/api/runs/${run}/tasks/${encodeURIComponent(stage)}/${encodeURIComponent(task)}/output`;
}

export class OutputSource {
  readonly place: OutputPlace;
  readonly #changed: () => void;
  readonly #ended = new AbortController();
  readonly #pages = new Map<number, Page>();
  readonly #asked = new Map<number, AbortController>();
  #wanted: readonly [number, number] = [0, -1];
  /** Null until the boss has told. */
  extent: OutputExtent | null = null;
  readonly folds = new Map<FoldKey, OutputFold>();
  /** Grows when a fold changes. */
  foldVersion = 0;
  /** Why there is nothing, or no more, for now. */
  problem: string | null = null;
  /** Nor will there be anything, unless another boss has it. */
  isGone = false;

  constructor(place: OutputPlace, changed: () => void) {
    this.place = place;
    this.#changed = changed;
    // Without waiting for the outline: the first lines are what most come for.
    this.want(1, 1);
    void this.#follow();
  }

  /** At once, where it waits to try again. */
  retry(): void {
    this.#retry();
  }
  #retry: () => void = () => {};

  close(): void {
    this.#ended.abort();
    this.#retry();
  }

  url(what: string, parameters: Readonly<Record<string, string | number>> = {}): string {
    const query = new URLSearchParams({ attempt: String(this.place.attempt) });
    for (const [name, value] of Object.entries(parameters)) query.set(name, String(value));
    return `${this.place.path}${what}?${query}`;
  }

  get lines(): number {
    return this.extent?.lines ?? 0;
  }

  /** Where a line begins; behind the last one: where the output ends. */
  async offsetOf(line: number): Promise<number> {
    const known = this.line(line);
    if (known) return known.offset;
    const { offsets, extent } = await ask<OutputLines>(
      this.url("/lines", { from: line, count: 1 }),
    );
    return offsets[0] ?? extent.bytes;
  }

  line(number: number): SourceLine | null {
    const page = this.#pages.get(pageOf(number));
    return page?.lines[(number - 1) % pageLines] ?? null;
  }

  /** These lines are looked at now: fetches what of them is missing, and lets go of the rest. */
  want(first: number, last: number): void {
    this.#wanted = [pageOf(first), pageOf(Math.max(first, last))];
    const [from, to] = this.#wanted;
    for (const [page, asked] of this.#asked) if (page < from || page > to) asked.abort();
    for (let page = from; page <= to; page += 1) this.#fetchPage(page);
    this.#forget();
  }

  #fetchPage(number: number) {
    const page = this.#pages.get(number);
    if (page) {
      // The one used last stands last.
      this.#pages.delete(number);
      this.#pages.set(number, page);
      if (page.isComplete || (this.extent && this.extent.bytes <= page.bytes)) return;
    }
    if (this.#asked.has(number) || this.#ended.signal.aborted || this.isGone) return;
    if (this.extent && number * pageLines >= this.extent.lines && number > 0) return;
    void this.#load(number);
  }

  async #load(number: number) {
    const asked = new AbortController();
    this.#asked.set(number, asked);
    // Of a page that is there only the last line can have changed.
    const kept = this.#pages.get(number)?.lines.slice(0, -1) ?? [];
    const from = number * pageLines + kept.length + 1;
    try {
      const signal = AbortSignal.any([asked.signal, this.#ended.signal]);
      const url = this.url("/lines", { from, count: pageLines - kept.length });
      const response = await fetchAgain(url, { signal });
      if (!response.ok) throw await refusalOf(response);
      const answer: OutputLines = await response.json();
      const lines = [...kept, ...sourceLines(answer)];
      const { extent } = answer;
      const isComplete =
        extent.ended || (lines.length === pageLines && extent.lines > (number + 1) * pageLines);
      this.#pages.delete(number);
      this.#pages.set(number, { lines, bytes: extent.bytes, isComplete });
      this.problem = null;
      this.#grow(extent);
    } catch (error) {
      if (!asked.signal.aborted && !this.#ended.signal.aborted) {
        this.#fail(error);
        if (!this.isGone) await pause(pageRetryMs, this.#ended.signal);
      }
    }
    this.#asked.delete(number);
    if (this.#ended.signal.aborted) return;
    const [first, last] = this.#wanted;
    // It may have grown, or been asked for again, since.
    if (number >= first && number <= last) this.#fetchPage(number);
    this.#changed();
  }

  #grow(extent: OutputExtent) {
    if (this.extent && extent.bytes < this.extent.bytes) return;
    this.extent = extent;
  }

  #forget() {
    const [first, last] = this.#wanted;
    for (const page of this.#pages.keys()) {
      if (this.#pages.size <= maxPages) return;
      if (page < first || page > last) this.#pages.delete(page);
    }
  }

  /** Until the output ends; again and again where the connection breaks. */
  async #follow() {
    const { signal } = this.#ended;
    let isAgain = false;
    for (let retryMs = 500; !signal.aborted; retryMs = Math.min(maxRetryMs, 2 * retryMs)) {
      try {
        for await (const told of jsonLines<OutputOutline>(
          this.url("/outline", { follow: 1 }),
          signal,
        )) {
          retryMs = 500;
          this.problem = null;
          if (isAgain) this.#forgetIfCut(told);
          isAgain = false;
          this.#take(told);
        }
        if (this.extent?.ended) return;
      } catch (error) {
        if (signal.aborted) return;
        this.#fail(error);
      }
      isAgain = true;
      const retried = new Promise<void>((resolve) => {
        this.#retry = resolve;
      });
      await (this.isGone ? retried : Promise.race([pause(retryMs, signal), retried]));
      this.isGone = false;
    }
  }

  #fail(error: unknown) {
    this.problem = reasonOf(error);
    this.isGone ||= isGone(error);
    this.#changed();
  }

  /** The end may have gone with the boss's machine, and something else have come in its place. */
  #forgetIfCut({ bytes }: OutputExtent) {
    if (!this.extent || this.extent.bytes <= bytes) return;
    this.extent = null;
    this.#pages.clear();
    this.folds.clear();
    this.foldVersion += 1;
  }

  #take({ folds, ...extent }: OutputOutline) {
    for (const fold of folds) this.folds.set(foldKey(fold), fold);
    if (folds.length > 0) this.foldVersion += 1;
    this.#grow(extent);
    const [from, to] = this.#wanted;
    for (let page = from; page <= to; page += 1) this.#fetchPage(page);
    this.#changed();
  }
}

function pageOf(line: number): number {
  return Math.floor((Math.max(1, line) - 1) / pageLines);
}

function sourceLines({ from, lines, offsets, looks }: OutputLines): SourceLine[] {
  let look = plainLook;
  return lines.map((content, index) => {
    const told = looks[from + index];
    if (told !== undefined) look = decodeLook(told);
    const line = { content, offset: offsets[index]!, look };
    if (typeof content === "string") look = lookAfter(content, look);
    return line;
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
