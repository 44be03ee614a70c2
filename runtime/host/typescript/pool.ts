// Homes that are warm before a pipedef needs them: module loader registered, runtime imported, waiting.

import type { HostOptions } from "../host.js";
import type { Home } from "./home.js";
import { startThreadHome } from "./thread-home.js";

export interface HostPool {
  /** A home that has run nobody's code yet. */
  take(kind: Pick<HostOptions, "home" | "memoryBytes">): Promise<Home>;
  /** Ends the spare homes; those taken belong to who took them. */
  close(): Promise<void>;
}

export function createHostPool({ spares = 1 } = {}): HostPool {
  const waiting = new Map<string, Home[]>();
  let closed = false;

  return {
    async take(kind) {
      if (closed) throw new Error("the pool of pipedef homes is closed");
      const key = `${kind.home} ${kind.memoryBytes}`;
      const homes = waiting.get(key) ?? [];
      waiting.set(key, homes);
      const home = homes.shift() ?? start(kind);
      while (homes.length < spares) homes.push(start(kind));
      return home;
    },
    async close() {
      closed = true;
      const homes = [...waiting.values()].flat();
      waiting.clear();
      await Promise.all(homes.map((home) => home.end()));
    },
  };
}

function start({ memoryBytes }: Pick<HostOptions, "home" | "memoryBytes">): Home {
  return startThreadHome({ memoryBytes });
}
