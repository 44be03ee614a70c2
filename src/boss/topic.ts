import { Bell } from "../lib/bell.js";

/** Says that something changed; readers look for themselves what it is now, so none can fall behind. */
export class Topic {
  #version = 0;
  readonly #bell = new Bell();

  publish(): void {
    this.#version += 1;
    this.#bell.ring();
  }

  /** Yields at once, then after each change; changes while the reader is busy count as one. */
  async *changes(signal: AbortSignal): AsyncGenerator<void> {
    let seen = -1;
    while (!signal.aborted) {
      if (seen === this.#version) {
        await this.#bell.heard(signal);
        continue;
      }
      seen = this.#version;
      yield;
    }
  }
}
