// A reader of all events that comes back after each break where it was. What it was shown must be in the
// history for good.

import { setTimeout as wait } from "node:timers/promises";
import { parseSse } from "../../src/lib/sse.js";

export interface Feed {
  /** What was shown, by sequence number. */
  readonly shown: ReadonlyMap<number, string>;
  /** Sequence numbers that came twice, or with something else the second time. */
  readonly troubles: readonly string[];
  end(): Promise<void>;
}

export function followFeed(bossUrl: string): Feed {
  const shown = new Map<number, string>();
  const troubles: string[] = [];
  const stop = new AbortController();
  let last: number | null = null;
  const follow = async () => {
    while (!stop.signal.aborted) {
      try {
        const after = last === null ? "" : `?after=${last}`;
        const response = await fetch(`${bossUrl}/api/events${after}`, { signal: stop.signal });
        for await (const { data } of parseSse(response.body!)) {
          // What is no event of a run has no run.
          const { run, seq } = JSON.parse(data) as { run?: number; seq?: number };
          if (run === undefined || seq === undefined) continue;
          if (last !== null && seq <= last) troubles.push(`event ${seq} was shown after ${last}`);
          shown.set(seq, data);
          last = seq;
        }
      } catch {
        // The boss is away.
      }
      await wait(100, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  const following = follow();
  return {
    shown,
    troubles,
    async end() {
      stop.abort();
      await following;
    },
  };
}
