// The times of one output, fetched when somebody wants to see them; of a live one again and again.

import type { OutputMarksView } from "../../src/wire/boss.js";
import { ask } from "../request.js";
import type { OutputSource } from "./output-source.js";
import { Times } from "./times.js";

/** All marks come each time. */
const everyMs = 1000;

export class TimesFeed {
  readonly #source: OutputSource;
  readonly #loaded: (times: Times) => Promise<void>;
  /** How far the output went when they were asked for. */
  #bytes = -1;
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
    const view = await ask<OutputMarksView>(this.#source.url("/marks")).catch(() => null);
    if (!view) this.#bytes = -1;
    if (view && !this.#isClosed) await this.#loaded(new Times(view.marks));
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
