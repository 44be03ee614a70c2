// Whether what the boss keeps can be written, and for how much longer. No system tells when free space
// changes, so it is looked at: seldom, and often only while something waits for room.

import { statfs } from "node:fs/promises";
import { formatBytes } from "../../lib/units.js";
import type { Store } from "../store/store.js";

export interface DiskOptions {
  /** Where history and outputs are. */
  readonly folder: string;
  readonly store: Pick<Store, "unwritable">;
  /** Stores what could not be stored. */
  readonly retry: () => void;
  readonly onChange: () => void;
  readonly log: (line: string) => void;
}

export interface DiskState {
  /** Nothing, or not all, can be stored; null: it can. */
  readonly trouble: string | null;
  /** It can, but soon may not. */
  readonly warning: string | null;
}

const calmMs = 15_000;
const watchfulMs = 1_000;
const mib = 2 ** 20;
/** SQLite and outputs need more than a page or two. */
const fullBelowBytes = mib;

export class Disk {
  readonly #options: DiskOptions;
  #state: DiskState = { trouble: null, warning: null };
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #closed = false;

  constructor(options: DiskOptions) {
    this.#options = options;
    this.look();
  }

  get state(): DiskState {
    return this.#state;
  }

  /** At once, and then again by itself: to be called where a write has failed. */
  look(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
      if (this.#closed) return;
      const pauseMs = this.#state.trouble === null ? calmMs : watchfulMs;
      this.#timer = setTimeout(() => this.look(), pauseMs).unref();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { folder, store, retry, onChange, log } = this.#options;
    const free = await statfs(folder).then(
      ({ bavail, blocks, bsize }) => ({ bytes: bavail * bsize, ofBytes: blocks * bsize }),
      () => null,
    );
    if (this.#closed) return;
    if (store.unwritable() !== null) retry();
    const before = this.#state;
    this.#state = judge({ folder, free, unwritable: store.unwritable() });
    if (before.trouble === this.#state.trouble && before.warning === this.#state.warning) return;
    const { trouble, warning } = this.#state;
    if (before.trouble !== null && trouble === null) log(`there is room again in ${folder}`);
    const said = trouble ?? warning;
    if (said !== null) log(said);
    onChange();
  }
}

interface Findings {
  readonly folder: string;
  readonly free: { readonly bytes: number; readonly ofBytes: number } | null;
  readonly unwritable: string | null;
}

function judge({ folder, free, unwritable }: Findings): DiskState {
  if (free !== null && free.bytes < fullBelowBytes) {
    return {
      trouble: `the disk of ${folder} is full: running tasks go on, output that finds no room is lost, new runs may be refused. Make room`,
      warning: null,
    };
  }
  if (unwritable !== null) {
    return { trouble: `${unwritable} Runs under way go on, new ones are refused`, warning: null };
  }
  // A share alone would warn of half a terabyte that is left of ten.
  const isLow =
    free !== null &&
    (free.bytes < 500 * mib || (free.bytes < free.ofBytes / 20 && free.bytes < 10_240 * mib));
  // In coarse words, so that not every byte is news.
  return { trouble: null, warning: isLow ? nearlyFull(folder, free.bytes) : null };
}

function nearlyFull(folder: string, bytes: number): string {
  const roughly = 2 ** Math.floor(Math.log2(bytes));
  return `the disk of ${folder} is nearly full: little more than ${formatBytes(roughly)} left`;
}
