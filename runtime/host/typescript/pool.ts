// Homes that are warm before a pipedef needs them: module loader registered, runtime imported, waiting.

import type { HostOptions } from "../host.js";
import type { Home } from "./home.js";
import { startProcessHome } from "./process-home.js";
import { startThreadHome } from "./thread-home.js";

export type HomeKind = Pick<HostOptions, "home" | "memoryBytes">;

/**
 * A spare takes a fifth of a second of a processor to get warm, just when the one that was taken has most to do. So it is
 * made when that one is done, or after this time.
 */
const spareAfterMs = 2000;

export interface HostPool {
  /** How many wait, warm or on their way to it. */
  readonly spare: number;
  /** A home that has run nobody's code yet. */
  take(kind: HomeKind): Promise<Home>;
  /** For a load alone: the next one begins at once. No task is disturbed, and a run may come with the same save. */
  readonly forLoads: HomeSource;
  /** A pipedef has needed tsx: from now on it is part of each spare. */
  needsTsx(): void;
  /** Starts one now, for a `take` that is about to come. */
  warm(kind: HomeKind): void;
  /** Ends the spare homes; those taken belong to who took them. */
  close(): Promise<void>;
}

export type HomeSource = Pick<HostPool, "take" | "needsTsx">;

/** `spares` homes of each kind that was taken are kept warm. */
export function createHostPool({ spares = 1, afterMs = spareAfterMs } = {}): HostPool {
  const waiting = new Map<string, Home[]>();
  const timers = new Set<NodeJS.Timeout>();
  let hasTsx = false;
  let closed = false;

  function waitingOf({ home, memoryBytes }: HomeKind): Home[] {
    const key = `${home} ${memoryBytes}`;
    const homes = waiting.get(key) ?? [];
    waiting.set(key, homes);
    return homes;
  }

  function addSpare(homes: Home[], kind: HomeKind): void {
    const home = add(homes, kind);
    if (hasTsx) home.send({ type: "prepare" });
  }

  function add(homes: Home[], kind: HomeKind): Home {
    const home = start(kind);
    homes.push(home);
    // One that ends while it waits (the kernel may take it) must not be handed out.
    home.died.then(() => {
      const index = homes.indexOf(home);
      if (index < 0) return;
      homes.splice(index, 1);
      home.end();
    });
    return home;
  }

  /** Once that home has ended, or has been at work for a while. */
  function fillBeside(home: Home, homes: Home[], kind: HomeKind): void {
    const fill = () => {
      clearTimeout(timer);
      timers.delete(timer);
      try {
        while (!closed && homes.length < spares) addSpare(homes, kind);
      } catch {
        // Whoever takes the next one meets the same trouble, and can say it.
      }
    };
    const timer = setTimeout(fill, afterMs);
    timers.add(timer);
    void home.died.then(fill);
  }

  async function take(kind: HomeKind, fill: typeof fillBeside): Promise<Home> {
    if (closed) throw new Error("the pool of pipedef homes is closed");
    const homes = waitingOf(kind);
    const home = homes.shift() ?? start(kind);
    if (homes.length < spares) fill(home, homes, kind);
    return home;
  }

  function needsTsx(): void {
    if (hasTsx) return;
    hasTsx = true;
    for (const home of [...waiting.values()].flat()) home.send({ type: "prepare" });
  }

  return {
    get spare() {
      return [...waiting.values()].reduce((sum, homes) => sum + homes.length, 0);
    },
    take: (kind) => take(kind, fillBeside),
    forLoads: { take: (kind) => take(kind, (_, homes) => addSpare(homes, kind)), needsTsx },
    needsTsx,
    warm(kind) {
      if (!closed) add(waitingOf(kind), kind);
    },
    async close() {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      const homes = [...waiting.values()].flatMap((kept) => kept.splice(0));
      await Promise.all(homes.map((home) => home.end()));
    },
  };
}

function start({ home, memoryBytes }: HomeKind): Home {
  return home === "thread" ? startThreadHome({ memoryBytes }) : startProcessHome({ memoryBytes });
}
