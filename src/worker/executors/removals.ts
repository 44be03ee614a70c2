// Used sandboxes on their way out. Their commands have ended and nobody waits for them, so a few at a time are
// removed beside what runs; but no more than so many are ever left over.

import { engineWords, statusOf } from "./docker-errors.js";

const atATime = 4;
const mostWaiting = 16;
const retriesMs = [200, 1_000, 5_000, 15_000, 60_000];

export interface RemovalsOptions {
  /** Of one container, by its id, also while it runs. */
  readonly remove: (container: string) => Promise<void>;
  readonly log: (line: string) => void;
}

export class Removals {
  readonly #remove: (container: string) => Promise<void>;
  readonly #log: (line: string) => void;
  readonly #queue: (() => void)[] = [];
  readonly #wantRoom: (() => void)[] = [];
  #running = 0;

  constructor({ remove, log }: RemovalsOptions) {
    this.#remove = remove;
    this.#log = log;
  }

  /** Resolves when it is gone, or when the engine would not do it at once. Never rejects. */
  async remove(container: string): Promise<void> {
    if (this.#running >= atATime) await new Promise<void>((go) => this.#queue.push(go));
    else this.#running += 1;
    const done = await this.#removed(container);
    const next = this.#queue.shift();
    // The place goes from one to the next.
    if (next) next();
    else this.#running -= 1;
    while (this.#queue.length < mostWaiting && this.#wantRoom.length > 0) this.#wantRoom.shift()!();
    if (!done) void this.#retry(container);
  }

  /** Resolves when not too many are left over. */
  async room(): Promise<void> {
    if (this.#queue.length < mostWaiting) return;
    await new Promise<void>((go) => this.#wantRoom.push(go));
  }

  /** The engine is in trouble: nobody must wait for that. */
  async #retry(container: string) {
    for (const ms of retriesMs) {
      await new Promise((resolve) => setTimeout(resolve, ms).unref());
      if (await this.#removed(container)) return;
    }
  }

  async #removed(container: string): Promise<boolean> {
    try {
      await this.#remove(container);
      return true;
    } catch (error) {
      // 409: its removal is under way.
      if ([404, 409].includes(statusOf(error) ?? 0)) return true;
      this.#log(`could not remove container ${container.slice(0, 12)}: ${engineWords(error)}`);
      return false;
    }
  }
}
