// The commands that serve until they are told to stop.

import { resolve } from "node:path";
import { repoRoot } from "../../runtime/host/repo-root.js";
import { isOpenTo } from "../access/open-access.js";
import { makeToken } from "../access/token-file.js";
import { engineDefaults } from "../boss/engine-options.js";
import type { HistoryOptions } from "../boss/history/history.js";
import { type RunningBoss, startBoss } from "../boss/main.js";
import { formatDuration } from "../lib/units.js";
import { exitCodes } from "../model/exit-code.js";
import { shellWord } from "../model/shell-word.js";
import { count, harmlessText, oneLine } from "../terminal/text.js";
import { version } from "../version.js";

import { isLoopback } from "../wire/loopback-guard.js";
import { defaultBossPort, defaultWorkerPort, defaultWorkerUrl } from "../wire/well-known.js";
import { type RunningWorker, startWorker } from "../worker/main.js";
import { usageError } from "./cli-error.js";
import { dataFolder, sourcesFolder } from "./data-folder.js";
import { findPipedefs, shortPath } from "./find-pipedef.js";
import { type HostFlags, hostSettings } from "./host-settings.js";
import { aborted, trapInterrupts } from "./interrupt.js";
import { type KeepFailedFlags, keepFailedSettings } from "./keep-failed.js";
import { createLog, type LogFormat } from "./log.js";
import { reloadLines, sayReloads } from "./reloads.js";
import { describeWorker } from "./session.js";
import {
  type AccessFlags,
  accessSettings,
  checkPort,
  type EngineFlags,
  engineSettings,
  type GraceFlags,
  graceSettings,
  type OutputFlags,
  outputSettings,
  type RetentionFlags,
  retentionSettings,
  type SecretsFlags,
  secretsSettings,
  type WorkerFlags,
  workerSettings,
  workerUrls,
} from "./settings.js";
import { startFailure } from "./start-failure.js";

/** Stopping may take 12 s in all after the grace; whatever hangs then is left to the next start's cleaning. */
const stopLimitMs = 11_000;
const loopback = "127.0.0.1";

interface ServerFlags extends OutputFlags, AccessFlags {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly "allow-host"?: readonly string[] | undefined;
  readonly data?: string | undefined;
  readonly json: boolean;
  readonly "log-format": LogFormat;
}

interface BossFlags
  extends ServerFlags,
    KeepFailedFlags,
    HostFlags,
    RetentionFlags,
    EngineFlags,
    SecretsFlags,
    GraceFlags {
  readonly pipedef?: readonly string[] | undefined;
  readonly "concurrent-runs": number;
  readonly "max-queued-runs": number;
}

interface BothFlags extends BossFlags, WorkerFlags {
  readonly "worker-port"?: number | undefined;
}

export async function serveWorker(
  flags: ServerFlags & WorkerFlags & GraceFlags & KeepFailedFlags,
): Promise<number> {
  const { graceMs } = graceSettings(flags);
  const interrupts = trapInterrupts({ serves: true });
  const worker = await openWorker(flags, { port: flags.port, flag: "port" });
  announceWorker(worker, flags);
  return await untilStopped(interrupts.signal, flags, {
    graceMs,
    stop: () => worker.stop({ graceMs }),
  });
}

export async function serveBoss(flags: BossFlags): Promise<number> {
  const graceMs = bossGraceMs(flags);
  const interrupts = trapInterrupts({ serves: true });
  const urls = workerUrls(flags.worker);
  const boss = await openBoss(flags, urls.length > 0 ? urls : [defaultWorkerUrl]);
  await announceBoss(boss, flags);
  followReloads(boss, flags, interrupts.signal);
  const stop = () => boss.stop({ graceMs });
  return await untilStopped(interrupts.signal, flags, { graceMs, stop });
}

export async function serveBoth(flags: BothFlags): Promise<number> {
  const graceMs = bossGraceMs(flags);
  const interrupts = trapInterrupts({ serves: true });
  // Before anything starts: a missing pipedef is said at once.
  const pipedefs = findPipedefs(flags.pipedef ?? [], process.cwd());
  // Plain processes start in the repo; where there are several, no folder is the right one for all.
  const startIn = pipedefs.length === 1 ? repoRoot(resolve(pipedefs[0]!)) : undefined;
  const host = flags.host ?? loopback;
  // Only this process talks to its worker. Where others reach the boss, they must not get past it.
  const { access } = accessSettings(flags, dataFolder("boss", { data: flags.data, port: 0 }));
  const token = isOpenTo(host, access) ? undefined : makeToken();
  const worker = await openWorker(
    { ...flags, host: isLoopback(host) ? host : loopback },
    {
      port: flags["worker-port"],
      flag: "worker-port",
      own: { ...(startIn !== undefined && { startIn }), ...(token !== undefined && { token }) },
    },
  );
  let boss: RunningBoss;
  try {
    boss = await openBoss(flags, [worker.url, ...workerUrls(flags.worker)], {
      url: worker.url,
      token,
    });
  } catch (error) {
    await worker.stop();
    throw error;
  }
  announceWorker(worker, flags);
  await announceBoss(boss, flags);
  followReloads(boss, flags, interrupts.signal);
  return await untilStopped(interrupts.signal, flags, {
    graceMs,
    async stop() {
      await boss.stop({ graceMs });
      await worker.stop();
    },
  });
}

async function openWorker(
  flags: ServerFlags & WorkerFlags & KeepFailedFlags,
  {
    port: wantedPort,
    flag,
    own,
  }: {
    readonly port: number | undefined;
    readonly flag: string;
    /** It belongs to a boss in this process. */
    readonly own?: { readonly startIn?: string; readonly token?: string };
  },
): Promise<RunningWorker> {
  const host = flags.host ?? loopback;
  const port = checkPort(flag, wantedPort ?? defaultWorkerPort);
  const settings = workerSettings(flags);
  const { access, tls } = own
    ? { access: own.token === undefined ? {} : { token: own.token } }
    : accessSettings(flags, dataFolder("worker", { data: flags.data, port }));
  try {
    return await startWorker({
      ...settings,
      ...keepFailedSettings(flags),
      ...outputSettings(flags),
      ...(own?.startIn !== undefined && { startIn: own.startIn }),
      host,
      port,
      access,
      ...(tls && { tls }),
      allowHosts: flags["allow-host"] ?? [],
      version,
      ...(flags.data !== undefined && { dataDir: resolve(flags.data) }),
      sourcesDir: sourcesFolder(flags.data),
      log: createLog(flags["log-format"]),
    });
  } catch (error) {
    throw await startFailure(error, { role: "worker", host, port, flag });
  }
}

/** A boss on any free port is nobody's next one, so its history goes with it. */
function bossHistory(data: string | undefined, port: number): HistoryOptions {
  if (data === undefined && port === 0) return { kind: "memory" };
  return { kind: "durable", folder: dataFolder("boss", { data, port }) };
}

/** A boss whose history goes with it has nobody to hand its runs to: it cancels them at once. */
function bossGraceMs(flags: BossFlags): number {
  const { graceMs } = graceSettings(flags);
  const { kind } = bossHistory(flags.data, flags.port ?? defaultBossPort);
  return kind === "durable" ? graceMs : 0;
}

async function openBoss(
  flags: BossFlags,
  workers: readonly string[],
  ownWorker?: { readonly url: string; readonly token: string | undefined },
): Promise<RunningBoss> {
  const host = flags.host ?? loopback;
  const port = checkPort("port", flags.port ?? defaultBossPort);
  if (flags["concurrent-runs"] < 1) throw usageError("--concurrent-runs must be at least 1");
  const settings = hostSettings(flags);
  const secrets = secretsSettings(flags);
  const pipedefs = findPipedefs(flags.pipedef ?? [], process.cwd());
  const history = bossHistory(flags.data, port);
  const { access, tls } = accessSettings(flags, dataFolder("boss", { data: flags.data, port }));
  const { folder: _, ...withoutFolder } = access;
  // What nobody can log in to, and nothing outlives, leaves no files of its own either.
  const isPassing = history.kind === "memory" && isOpenTo(host, access);
  const { url, token } = ownWorker ?? {};
  const tokens = new Map(url !== undefined && token !== undefined ? [[url, token]] : []);
  try {
    return await startBoss({
      ...engineDefaults,
      ...settings,
      ...engineSettings(flags, tokens),
      ...keepFailedSettings(flags),
      ...outputSettings(flags),
      ...retentionSettings(flags),
      ...secrets,
      pipedefs,
      workers,
      ...(url !== undefined && { localStandIn: url }),
      history,
      concurrentRuns: flags["concurrent-runs"],
      maxQueuedRuns: flags["max-queued-runs"],
      watch: true,
      host,
      port,
      allowHosts: flags["allow-host"] ?? [],
      access: isPassing ? withoutFolder : access,
      ...(tls && { tls }),
      version,
      log: createLog(flags["log-format"]),
    });
  } catch (error) {
    throw await startFailure(error, { role: "boss", host, port, flag: "port" });
  }
}

function announceWorker(worker: RunningWorker, flags: ServerFlags): void {
  const { json, host } = flags;
  const { url, tokenFile } = worker;
  if (json) printJson({ type: "worker", url, tokenFile, ...worker.info() });
  else if (flags["log-format"] === "json") {
    const { executor, slots } = worker.info();
    createLog("json")(`worker at ${url}`, { fields: { url, tokenFile, executor, slots } });
  } else {
    print(`worker  ${friendlyUrl(url, host)}  ${describeWorker(worker)}`);
    if (tokenFile !== null) print(tokenLine(tokenFile));
  }
}

/** Not the token: what a service prints is kept, and read by many. */
function tokenLine(file: string): string {
  return `        needs a token: bettertest token --token-file ${shellWord(file)}`;
}

async function announceBoss(boss: RunningBoss, flags: ServerFlags): Promise<void> {
  const { json, host } = flags;
  await boss.engine.pipelines.ready;
  const views = boss.engine.pipelines.views();
  if (json) {
    const { url, tokenFile } = boss;
    printJson({ type: "boss", url, tokenFile, version, pipelines: views });
    return;
  }
  if (flags["log-format"] === "json") {
    const log = createLog("json");
    const { url, tokenFile } = boss;
    log(`boss at ${url}`, { fields: { url, tokenFile, version } });
    for (const { name, pipedef, problem } of views) {
      const fields = { pipeline: name, pipedef };
      if (problem === null) log(`pipeline ${name} has loaded`, { fields });
      else log(`pipeline ${name} cannot be used: ${problem}`, { level: "error", fields });
    }
    return;
  }
  print(`boss    ${friendlyUrl(boss.url, host)}`);
  if (boss.tokenFile !== null) print(tokenLine(boss.tokenFile));
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

function followReloads({ engine }: RunningBoss, flags: ServerFlags, signal: AbortSignal): void {
  void sayReloads(engine, signal, (view) => {
    const { name, problem } = view;
    if (flags.json) printJson({ type: "pipeline", ...view });
    else if (flags["log-format"] === "json") {
      const level = problem === null ? "info" : "error";
      createLog("json")(reloadLines(view).join("\n"), { level, fields: { pipeline: name } });
    } else for (const line of reloadLines(view)) print(`        ${line}`);
  });
}

async function untilStopped(
  signal: AbortSignal,
  { json, "log-format": format }: ServerFlags,
  { graceMs, stop }: { readonly graceMs: number; readonly stop: () => Promise<void> },
): Promise<number> {
  await aborted(signal);
  if (json) printJson({ type: "stopping" });
  else if (format === "json") createLog("json")("stopping");
  else if (graceMs === 0) print("stopping");
  else
    print(`stopping: what runs has ${formatDuration(graceMs)} to finish; Ctrl-C ends it at once`);
  const limitMs = graceMs + stopLimitMs;
  const late = setTimeout(() => {
    process.stderr.write(`bettertest: could not stop in ${limitMs / 1000} s, exiting anyway\n`);
    process.exit(exitCodes.errored);
  }, limitMs);
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
