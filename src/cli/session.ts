// What `bettertest run` starts before the first task, and ends after the last: a worker of its own unless
// one was named, and an engine. `bettertest watch` keeps them from run to run. No port that anybody could know, and nothing left behind.

import { resolve } from "node:path";
import type { HostPool } from "../../runtime/host/open-host.js";
import { repoRoot } from "../../runtime/host/repo-root.js";
import type { Engine } from "../boss/engine.js";
import { createEngineBesideWorker } from "../boss/engine-beside-worker.js";
import { type EngineOptions, engineDefaults } from "../boss/engine-options.js";
import { version } from "../version.js";
import type { RunningWorker } from "../worker/main.js";
import { CliError } from "./cli-error.js";
import { sourcesFolder } from "./data-folder.js";
import { type HostFlags, hostSettings } from "./host-settings.js";
import { type KeepFailedFlags, keepFailedSettings } from "./keep-failed.js";
import {
  type EngineFlags,
  engineSettings,
  type OutputFlags,
  outputSettings,
  type SecretsFlags,
  secretsSettings,
  type WorkerFlags,
  workerSettings,
  workerUrls,
} from "./settings.js";
import { infrastructureFailure } from "./start-failure.js";

export interface SessionFlags
  extends HostFlags,
    KeepFailedFlags,
    WorkerFlags,
    OutputFlags,
    EngineFlags,
    SecretsFlags {
  readonly data?: string | undefined;
}

export interface Session {
  readonly engine: Engine;
  /** "docker, 2 slots". */
  readonly where: string;
  close(): Promise<void>;
}

interface SessionOptions {
  readonly runs: "one" | "many";
  /** Where the pipedef's home is starting; closed with the session, or where there will be none. */
  readonly homes: HostPool;
  readonly log: (line: string) => void;
}

export async function openSession(
  pipedef: string,
  flags: SessionFlags,
  options: SessionOptions,
): Promise<Session> {
  try {
    return await open(pipedef, flags, options);
  } catch (error) {
    await options.homes.close();
    throw error instanceof CliError ? error : infrastructureFailure(error);
  }
}

async function open(
  pipedef: string,
  flags: SessionFlags,
  { runs, homes, log }: SessionOptions,
): Promise<Session> {
  const settings = hostSettings(flags);
  const secrets = secretsSettings(flags);
  const urls = workerUrls(flags.worker);
  const starting = urls.length === 0 ? startOwnWorker(pipedef, flags, log, runs) : null;
  const options: EngineOptions = {
    ...engineDefaults,
    ...settings,
    ...engineSettings(flags),
    ...keepFailedSettings(flags),
    ...outputSettings(flags),
    ...secrets,
    pipedefs: [pipedef],
    workers: urls,
    ...(flags.data !== undefined && { history: { kind: "memory", folder: resolve(flags.data) } }),
    once: runs === "one",
    reloads: runs === "many",
    homes,
    ...(runs === "many" && { retention: { ...engineDefaults.retention, keepRuns: 20 } }),
    log,
  };
  const { engine, own, close } = await createEngineBesideWorker(options, starting);
  return { engine, where: own ? describeWorker(own) : urls.join(", "), close };
}

async function startOwnWorker(
  pipedef: string,
  flags: WorkerFlags & OutputFlags & { readonly data?: string | undefined },
  log: (line: string) => void,
  runs: "one" | "many",
): Promise<RunningWorker> {
  const settings = workerSettings(flags);
  const { startWorker } = await import("../worker/main.js");
  try {
    return await startWorker({
      // It ends with its run: only what that is about to need is worth making ahead.
      ...(runs === "one" && { poolIdleMs: 0 }),
      ...settings,
      ...outputSettings(flags),
      startIn: repoRoot(resolve(pipedef)),
      sourcesDir: sourcesFolder(flags.data),
      host: "127.0.0.1",
      port: 0,
      version,
      log,
    });
  } catch (error) {
    throw infrastructureFailure(error);
  }
}

export function describeWorker(worker: RunningWorker): string {
  const { executor, isolated, slots } = worker.info();
  const apart = isolated ? "" : " (not isolated: right on this machine)";
  return `${executor}${apart}, ${slots} slot${slots === 1 ? "" : "s"}`;
}
