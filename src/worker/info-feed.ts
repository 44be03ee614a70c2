// What a worker says of itself, to anyone who watches.

import { Bell } from "../lib/bell.js";
import type { WorkerInfo } from "../wire/worker.js";

export interface InfoFeed {
  readonly info: () => WorkerInfo;
  readonly changed: () => void;
  /** The info now, then at each change; changes that come faster than `settleMs` are told as one. */
  readonly follow: (signal: AbortSignal) => AsyncGenerator<WorkerInfo>;
  /** Ends all who follow. */
  readonly end: () => void;
}

const settleMs = 20;

export function createInfoFeed(info: () => WorkerInfo): InfoFeed {
  const changes = new Bell();
  let version = 0;
  let ended = false;

  return {
    info,
    changed() {
      version += 1;
      changes.ring();
    },
    async *follow(signal) {
      while (!signal.aborted && !ended) {
        const told = version;
        yield info();
        await new Promise((resolve) => setTimeout(resolve, settleMs));
        while (told === version && !signal.aborted && !ended) await changes.heard(signal);
      }
    },
    end() {
      ended = true;
      changes.ring();
    },
  };
}
