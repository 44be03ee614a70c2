import type { Log } from "../lib/log.js";
import { type Listening, listen } from "../wire/listen.js";
import { createApp } from "./app.js";
import { createEngine, type Engine, type EngineOptions } from "./engine.js";
import { logActivity } from "./run-log.js";

export interface BossOptions extends EngineOptions {
  readonly host: string;
  readonly port: number;
  /** Foreign names that a boss on loopback answers to. */
  readonly allowHosts?: readonly string[];
  readonly version: string;
  readonly log: Log;
}

export interface RunningBoss {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export async function startBoss(options: BossOptions): Promise<RunningBoss> {
  const engine = await createEngine(options);
  let listening: Listening;
  try {
    const app = createApp(engine, options);
    const { host, port, allowHosts = [] } = options;
    listening = await listen({ fetch: app.fetch, host, port, allowHosts });
  } catch (error) {
    await engine.close();
    throw error;
  }
  const stopped = new AbortController();
  logActivity(engine, options.log, stopped.signal);
  return {
    url: listening.url,
    port: listening.port,
    engine,
    async stop({ graceMs = 0 } = {}) {
      await engine.close({ graceMs });
      stopped.abort();
      await listening.close();
    },
  };
}
