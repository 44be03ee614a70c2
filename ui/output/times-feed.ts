// The times of one output, fetched when somebody wants to see them; of a live one again and again.

import type { OutputMarksView } from "../../src/wire/boss.js";
import { ask } from "../request.js";
import type { OutputSource } from "./output-source.js";
import { Times } from "./times.js";

const everyMs = 1000;

export class TimesFeed {
  readonly #source: OutputSource;
  readonly #loaded: (times: Times) => Promise<void>;
  /** How far the output went when they were asked for. */
  #bytes = -1;
  #times = new Times([]);
  #soon: ReturnType<typeof setTimeout> | null = null;
  #isClosed = false;

  constructor(source: OutputSource, loaded: (times: Times) => Promise<void>) {
    this.#source = source;
    this.#loaded = loaded;
  }

  async load(): Promise<void> {
    const bytes = this.#source.extent?.bytes ?? 0;
    if (bytes === this.#bytes) return;
    this.#bytes = bytes;
    // Of one that has ended all once more: its middle may have been cut out.
    const from = this.#source.extent?.ended ? 0 : this.#times.lastOffset;
    const url = this.#source.url("/marks", { from });
    const view = await ask<OutputMarksView>(url).catch(() => null);
    if (!view) this.#bytes = -1;
    if (!view || this.#isClosed) return;
    this.#times = this.#times.withMarks(view.marks, from);
    await this.#loaded(this.#times);
  }

  loadSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      void this.load();
    }, everyMs);
  }

  close(): void {
    this.#isClosed = true;
    if (this.#soon !== null) clearTimeout(this.#soon);
  }
}
