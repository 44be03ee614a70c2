// Homes that are warm before a pipedef needs them: module loader registered, runtime imported, waiting.

import type { HostOptions } from "../host.js";
import type { Home } from "./home.js";
import { startProcessHome } from "./process-home.js";
import { startThreadHome } from "./thread-home.js";

export type HomeKind = Pick<HostOptions, "home" | "memoryBytes">;

export interface HostPool {
  /** A home that has run nobody's code yet. */
  take(kind: HomeKind): Promise<Home>;
  /** Starts one now, for a `take` that is about to come. */
  warm(kind: HomeKind): void;
  /** Makes up for what was taken. Called when that has loaded: beside a load it would slow it. */
  refill(kind: HomeKind): void;
  /** Ends the spare homes; those taken belong to who took them. */
  close(): Promise<void>;
}

/** `spares` homes of each kind that was taken are kept warm. */
export function createHostPool({ spares = 1 } = {}): HostPool {
  const waiting = new Map<string, Home[]>();
  let closed = false;

  function waitingOf({ home, memoryBytes }: HomeKind): Home[] {
    const key = `${home} ${memoryBytes}`;
    const homes = waiting.get(key) ?? [];
    waiting.set(key, homes);
    return homes;
  }

  function addSpare(homes: Home[], kind: HomeKind): void {
    const home = start(kind);
    homes.push(home);
    // One that ends while it waits (the kernel may take it) must not be handed out.
    home.died.then(() => {
      const index = homes.indexOf(home);
      if (index < 0) return;
      homes.splice(index, 1);
      home.end();
    });
  }

  return {
    async take(kind) {
      if (closed) throw new Error("the pool of pipedef homes is closed");
      return waitingOf(kind).shift() ?? start(kind);
    },
    warm(kind) {
      if (!closed) addSpare(waitingOf(kind), kind);
    },
    refill(kind) {
      const homes = waitingOf(kind);
      while (!closed && homes.length < spares) addSpare(homes, kind);
    },
    async close() {
      closed = true;
      const homes = [...waiting.values()].flatMap((kept) => kept.splice(0));
      await Promise.all(homes.map((home) => home.end()));
    },
  };
}

function start({ home, memoryBytes }: HomeKind): Home {
  return home === "thread" ? startThreadHome({ memoryBytes }) : startProcessHome({ memoryBytes });
}
