// The commands that serve until they are told to stop.

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { repoRoot } from "../../runtime/host/repo-root.js";
import { engineDefaults } from "../boss/engine.js";
import type { HistoryOptions } from "../boss/history.js";
import { type RunningBoss, startBoss } from "../boss/main.js";
import { exitCodes } from "../model/exit-code.js";
import { count, harmlessText, oneLine } from "../terminal/text.js";
import { version } from "../version.js";
import { defaultBossPort } from "../wire/boss.js";
import { isLoopback } from "../wire/loopback-guard.js";
import { defaultWorkerPort, defaultWorkerUrl } from "../wire/worker.js";
import { type RunningWorker, startWorker } from "../worker/main.js";
import { usageError } from "./cli-error.js";
import { findPipedefs, shortPath } from "./find-pipedef.js";
import { aborted, trapInterrupts } from "./interrupt.js";
import { createLog, type LogFormat } from "./log.js";
import { describeWorker } from "./session.js";
import {
  checkPort,
  type EngineFlags,
  engineSettings,
  type HostFlags,
  hostSettings,
  type OutputFlags,
  outputSettings,
  type RetentionFlags,
  retentionSettings,
  type WorkerFlags,
  workerSettings,
  workerUrls,
} from "./settings.js";
import { startFailure } from "./start-failure.js";

/** Stopping may take 12 s in all; whatever hangs then is left to the next start's cleaning. */
const stopLimitMs = 11_000;
const loopback = "127.0.0.1";

interface ServerFlags extends OutputFlags {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly "allow-host"?: readonly string[] | undefined;
  readonly data?: string | undefined;
  readonly json: boolean;
  readonly "log-format": LogFormat;
}

interface BossFlags extends ServerFlags, HostFlags, RetentionFlags, EngineFlags {
  readonly pipedef?: readonly string[] | undefined;
  readonly "concurrent-runs": number;
}

interface BothFlags extends BossFlags, WorkerFlags {
  readonly "worker-port"?: number | undefined;
}

export async function serveWorker(flags: ServerFlags & WorkerFlags): Promise<number> {
  const interrupts = trapInterrupts();
  const worker = await openWorker(flags, flags.port, "port");
  announceWorker(worker, flags);
  return await untilStopped(interrupts.signal, flags, () => worker.stop());
}

export async function serveBoss(flags: BossFlags): Promise<number> {
  const interrupts = trapInterrupts();
  const urls = workerUrls(flags.worker);
  const boss = await openBoss(flags, urls.length > 0 ? urls : [defaultWorkerUrl], undefined);
  await announceBoss(boss, flags);
  return await untilStopped(interrupts.signal, flags, () => boss.stop());
}

export async function serveBoth(flags: BothFlags): Promise<number> {
  const interrupts = trapInterrupts();
  // Before anything starts: a missing pipedef is said at once.
  findPipedefs(flags.pipedef ?? [], process.cwd());
  const pipedefs = findPipedefs(flags.pipedef ?? [], process.cwd());
  // Plain processes start in the repo; where there are several, no folder is the right one for all.
  const startIn = pipedefs.length === 1 ? repoRoot(resolve(pipedefs[0]!)) : undefined;
  const worker = await openWorker(flags, flags["worker-port"], "worker-port", startIn);
  let boss: RunningBoss;
  try {
    boss = await openBoss(flags, [worker.url, ...workerUrls(flags.worker)], worker.url);
  } catch (error) {
    await worker.stop();
    throw error;
  }
  announceWorker(worker, flags);
  await announceBoss(boss, flags);
  return await untilStopped(interrupts.signal, flags, async () => {
    await boss.stop();
    await worker.stop();
  });
}

async function openWorker(
  flags: ServerFlags & WorkerFlags,
  wantedPort: number | undefined,
  flag: string,
  startIn?: string,
): Promise<RunningWorker> {
  const host = listenHost(flags);
  const port = checkPort(flag, wantedPort ?? defaultWorkerPort);
  const settings = workerSettings(flags);
  try {
    return await startWorker({
      ...settings,
      ...outputSettings(flags),
      ...(startIn !== undefined && { startIn }),
      host,
      port,
      allowHosts: flags["allow-host"] ?? [],
      version,
      ...(flags.data !== undefined && { dataDir: resolve(flags.data) }),
      log: createLog(flags["log-format"]),
    });
  } catch (error) {
    throw await startFailure(error, { role: "worker", host, port, flag });
  }
}

function listenHost({ host = loopback, "log-format": format }: ServerFlags): string {
  if (!isLoopback(host)) {
    createLog(format)(
      `listening on ${host} without a login: whoever reaches this port can run commands on this machine`,
      { level: "warn", fields: { host } },
    );
  }
  return host;
}

/**
 * A folder for each port: bosses that run side by side need one each, and one that is started again finds
 * its own. A boss on any free port is nobody's next one, so its history goes with it.
 */
function bossHistory(data: string | undefined, port: number): HistoryOptions {
  if (data !== undefined) return { kind: "durable", folder: resolve(data) };
  if (port === 0) return { kind: "memory" };
  return { kind: "durable", folder: join(homedir(), ".local/share/bettertest", `boss-${port}`) };
}

async function openBoss(
  flags: BossFlags,
  workers: readonly string[],
  localStandIn: string | undefined,
): Promise<RunningBoss> {
  const host = listenHost(flags);
  const port = checkPort("port", flags.port ?? defaultBossPort);
  if (flags["concurrent-runs"] < 1) throw usageError("--concurrent-runs must be at least 1");
  const settings = hostSettings(flags);
  const pipedefs = findPipedefs(flags.pipedef ?? [], process.cwd());
  try {
    return await startBoss({
      ...engineDefaults,
      ...settings,
      ...engineSettings(flags),
      ...outputSettings(flags),
      ...retentionSettings(flags),
      pipedefs,
      workers,
      ...(localStandIn !== undefined && { localStandIn }),
      history: bossHistory(flags.data, port),
      concurrentRuns: flags["concurrent-runs"],
      watch: true,
      host,
      port,
      allowHosts: flags["allow-host"] ?? [],
      version,
      log: createLog(flags["log-format"]),
    });
  } catch (error) {
    throw await startFailure(error, { role: "boss", host, port, flag: "port" });
  }
}

function announceWorker(worker: RunningWorker, flags: ServerFlags): void {
  const { json, host } = flags;
  if (json) printJson({ type: "worker", url: worker.url, ...worker.info() });
  else if (flags["log-format"] === "json") {
    const { executor, slots } = worker.info();
    createLog("json")(`worker at ${worker.url}`, { fields: { url: worker.url, executor, slots } });
  } else print(`worker  ${friendlyUrl(worker.url, host)}  ${describeWorker(worker)}`);
}

async function announceBoss(boss: RunningBoss, flags: ServerFlags): Promise<void> {
  const { json, host } = flags;
  await boss.engine.pipelines.ready;
  const views = boss.engine.pipelines.views();
  if (json) {
    printJson({ type: "boss", url: boss.url, version, pipelines: views });
    return;
  }
  if (flags["log-format"] === "json") {
    const log = createLog("json");
    log(`boss at ${boss.url}`, { fields: { url: boss.url, version } });
    for (const { name, pipedef, problem } of views) {
      const fields = { pipeline: name, pipedef };
      if (problem === null) log(`pipeline ${name} has loaded`, { fields });
      else log(`pipeline ${name} cannot be used: ${problem}`, { level: "error", fields });
    }
    return;
  }
  print(`boss    ${friendlyUrl(boss.url, host)}`);
  for (const { name, pipedef, pipeline, problem } of views) {
    const stages = pipeline?.stages ?? [];
    const tasks = stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
    const size = pipeline ? `  ${count(stages.length, "stage")}, ${count(tasks, "task")}` : "";
    print(`        ${oneLine(name)}  ${shortPath(pipedef)}${size}`);
    if (problem !== null) {
      print(harmlessText(problem).replace(/^/gm, "          "));
      print("          It is loaded again when it is saved.");
    }
  }
  print("Ctrl-C stops.");
}

async function untilStopped(
  signal: AbortSignal,
  { json, "log-format": format }: ServerFlags,
  stop: () => Promise<void>,
): Promise<number> {
  await aborted(signal);
  if (json) printJson({ type: "stopping" });
  else if (format === "json") createLog("json")("stopping");
  else print("stopping");
  const late = setTimeout(() => {
    process.stderr.write(`bettertest: could not stop in ${stopLimitMs / 1000} s, exiting anyway\n`);
    process.exit(exitCodes.errored);
  }, stopLimitMs);
  await stop();
  clearTimeout(late);
  // Whoever serves until told to stop has done what it was for.
  return exitCodes.passed;
}

/** People know the loopback address by its name, and browsers keep cookies by it. */
function friendlyUrl(url: string, host: string | undefined): string {
  return host === undefined ? url.replace(`//${loopback}:`, "//localhost:") : url;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify({ schema: 1, ...value })}\n`);
}
