import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Listening, listen } from "../wire/listen.js";
import { createApp } from "./app.js";
import { createEngine, type Engine, type EngineOptions } from "./engine.js";

export interface BossOptions extends EngineOptions {
  readonly host: string;
  readonly port: number;
  readonly version: string;
}

export interface RunningBoss {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

export async function startBoss(options: BossOptions): Promise<RunningBoss> {
  const dataDir = ownFolder(options.dataDir);
  const engine = createEngine({ ...options, dataDir });
  let listening: Listening;
  try {
    const app = createApp(engine, options);
    listening = await listen({ fetch: app.fetch, host: options.host, port: options.port });
  } catch (error) {
    await engine.close();
    rmSync(dataDir, { recursive: true, force: true });
    throw error;
  }
  return {
    url: listening.url,
    port: listening.port,
    engine,
    async stop({ graceMs = 0 } = {}) {
      await engine.close({ graceMs });
      await listening.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/**
 * History lives in memory, so outputs of an earlier boss can be reached by nobody: each boss has a folder
 * of its own, named after its process, and clears those of processes that are gone.
 */
function ownFolder(dataDir: string): string {
  mkdirSync(dataDir, { recursive: true });
  for (const name of readdirSync(dataDir)) {
    const pid = /^boss-(\d+)-/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) rmSync(join(dataDir, name), { recursive: true, force: true });
  }
  return mkdtempSync(join(dataDir, `boss-${process.pid}-`));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
