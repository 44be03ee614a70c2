// Keeps each pipeline running, one run after the other, through whatever happens to the boss.

import { setTimeout as wait } from "node:timers/promises";
import type { RunSnapshot, RunSummary } from "../../src/wire/boss.js";
import type { PipelineName, System } from "./system.js";

export interface RunsOfRound {
  /** Ids that the boss has answered with, or listed. */
  readonly ids: ReadonlySet<number>;
  /** No further run is begun; resolves when those under way have ended, or to what has not. */
  finish(withinMs: number): Promise<number[]>;
}

export function keepRunning(system: System, names: readonly PipelineName[]): RunsOfRound {
  const ids = new Set<number>();
  const underWay = new Set<number>();
  let over = false;
  let deadline = Number.POSITIVE_INFINITY;

  const ask = async <T>(path: string, init: RequestInit = {}): Promise<T | null> => {
    try {
      const response = await fetch(system.boss.url + path, {
        ...init,
        signal: AbortSignal.timeout(3_000),
      });
      return response.ok ? ((await response.json()) as T) : null;
    } catch {
      return null;
    }
  };

  const newest = async (pipeline: string) => {
    const path = `/api/runs?limit=1&pipeline=${pipeline}`;
    const found = await ask<RunSummary[]>(path);
    return found && { newest: found[0] };
  };

  const begin = async (pipeline: PipelineName): Promise<number | null> => {
    // One that an earlier request began whose answer never came is as good.
    const before = await newest(pipeline);
    if (!before) return null;
    if (before.newest && before.newest.finishedAt === null) return before.newest.id;
    if (over) return null;
    system.ledger.beginRun(pipeline);
    const body = JSON.stringify({ pipeline, keepGoing: true });
    const started = await ask<{ run: number }>("/api/runs", { method: "POST", body });
    return started?.run ?? null;
  };

  const keep = async (pipeline: PipelineName) => {
    while (Date.now() < deadline) {
      const id = await begin(pipeline);
      if (id === null) {
        // Only a boss that answers can say that nothing is under way any more.
        if (over && (await newest(pipeline))?.newest?.finishedAt != null) return;
        await wait(200);
        continue;
      }
      ids.add(id);
      underWay.add(id);
      while (Date.now() < deadline) {
        const snapshot = await ask<RunSnapshot>(`/api/runs/${id}`);
        if (snapshot?.run.finishedAt != null) {
          underWay.delete(id);
          break;
        }
        await wait(200);
      }
    }
  };
  const keeping = Promise.all(names.map(keep));
  return {
    ids,
    async finish(withinMs) {
      over = true;
      deadline = Date.now() + withinMs;
      await keeping;
      return [...underWay];
    },
  };
}
