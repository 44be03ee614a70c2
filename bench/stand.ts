// What is measured: a boss and a worker in processes of their own, started as a user starts them, and a clean
// end of both.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BossClient, createBossClient } from "../src/wire/boss-client.js";

export const program = fileURLToPath(new URL("../../bin/bettertest.js", import.meta.url));

/** Made by scripts/base-image.mjs. */
export const image = "bettertest-base";

export interface Stand extends Served {
  readonly boss: BossClient;
  readonly url: string;
  readonly workerUrl: string;
  /** Runs the pipedef; resolves when the run has ended, well. */
  run(only?: readonly string[]): Promise<number>;
}

export interface StandOptions {
  readonly folder: string;
  readonly pipedef: string;
  readonly file?: string;
  readonly executor: "docker" | "process";
  readonly args?: readonly string[];
}

/** `bettertest boss`: without the worker, which is the one given. `repo` is where the pipedef lies. */
export async function startBossStand(
  folder: string,
  pipedef: string,
  { url: workerUrl }: WorkerStand,
  repo = folder,
): Promise<Stand> {
  const path = writePipedef(repo, pipedef);
  const served = await serve("boss", folder, ["--pipedef", path, "--worker", workerUrl]);
  return standOf(served, workerUrl);
}

/** `bettertest up`: boss and worker in one process. */
export async function startStand({
  folder,
  pipedef,
  file = "pipedef.ts",
  executor,
  args = [],
}: StandOptions): Promise<Stand> {
  const path = writePipedef(folder, pipedef, file);
  const served = await serve("up", folder, [
    "--executor",
    executor,
    "--pipedef",
    path,
    "--worker-port",
    "0",
    ...args,
  ]);
  return standOf(served, served.urls.worker!);
}

async function standOf(served: ServedUrls, workerUrl: string): Promise<Stand> {
  const boss = createBossClient(served.urls.boss!);
  const stand: Stand = {
    ...served,
    boss,
    url: served.urls.boss!,
    workerUrl,
    async run(only) {
      const run = await boss.start(only ? { only: [...only] } : {});
      for await (const { event } of boss.events(run)) {
        if (event.type !== "run-finished" || event.verdict === "passed") continue;
        throw new Error(`run ${run} ${event.verdict}: ${JSON.stringify(event.fault ?? "")}`);
      }
      return run;
    },
  };
  await loaded(boss);
  return stand;
}

export interface WorkerStand extends Served {
  readonly url: string;
}

/** `bettertest worker`, with real containers unless said otherwise. */
export async function startWorkerStand(
  folder: string,
  args: readonly string[] = [],
  executor: StandOptions["executor"] = "docker",
): Promise<WorkerStand> {
  const served = await serve("worker", folder, ["--executor", executor, ...args]);
  return { ...served, url: served.urls.worker! };
}

let profiling: readonly string[] = [];

/** From now on every boss and worker leaves a profile of its processor time there when it ends. */
export function profileInto(folder: string): void {
  profiling = ["--cpu-prof", "--cpu-prof-dir", folder];
}

const served = new Set<() => Promise<void>>();

/** Of a benchmark that broke off. */
export async function endAll(): Promise<void> {
  await Promise.all([...served].map((end) => end()));
}

export interface Served extends AsyncDisposable {
  /** Of the process. */
  cpuMs(): number;
  memoryBytes(): number;
}

interface ServedUrls extends Served {
  readonly urls: Readonly<Record<string, string>>;
}

/** Resolves when it has told the address of what it is, or of its boss. */
async function serve(
  command: "up" | "boss" | "worker",
  folder: string,
  args: readonly string[],
): Promise<ServedUrls> {
  const data = join(folder, `data-${command}`);
  mkdirSync(folder, { recursive: true });
  const all = [program, command, "--port", "0", "--json", "--data", data, ...args];
  const child = spawn(process.execPath, [...profiling, ...all], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  // Whoever interrupts the benchmarks must not leave it behind.
  const end = () => void child.kill("SIGTERM");
  process.once("exit", end);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const dispose = async () => {
    process.off("exit", end);
    served.delete(dispose);
    end();
    await gone;
  };
  served.add(dispose);
  let printed = "";
  const urls: Record<string, string> = {};
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text: Buffer) => {
        // Before it is cut: of a boss the line goes on with all of its tasks.
        printed += text;
        for (const [, role, url] of printed.matchAll(/"type":"(\w+)","url":"([^"]+)"/g)) {
          urls[role!] = url!;
        }
        printed = printed.slice(-20_000);
        if (urls[command === "worker" ? "worker" : "boss"]) resolve();
      });
    }
    child.once("exit", (code) => {
      reject(new Error(`bettertest ${command} ended with ${code}: ${printed}`));
    });
  });
  return {
    urls,
    cpuMs: () => cpuMsOf(child.pid!),
    memoryBytes: () => memoryBytesOf(child.pid!),
    [Symbol.asyncDispose]: dispose,
  };
}

export function writePipedef(folder: string, text: string, file = "pipedef.ts"): string {
  const path = join(folder, ".bettertest", file);
  mkdirSync(join(folder, ".bettertest"), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** The worker is connected, too. */
async function loaded(boss: BossClient): Promise<void> {
  for (;;) {
    const [pipeline] = await boss.pipelines();
    const [worker] = await boss.workers();
    if (pipeline?.problem) throw new Error(pipeline.problem);
    if (pipeline?.pipeline && worker?.status === "connected") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const tickMs = 10;

/** Linux. Of all its threads, and none of its children. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return [11, 12].reduce((sum, at) => sum + Number(fields[at]), 0) * tickMs;
}

function memoryBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** Its time from start to end. Throws where it ends with anything but 0. */
export async function commandMs(
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], ...(cwd && { cwd }) });
  let errors = "";
  child.stderr.on("data", (text) => {
    errors = (errors + text).slice(-2000);
  });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${errors}`);
  return performance.now() - startedAt;
}

export function dockerRun(command: string, ...options: string[]): string[] {
  return ["run", "--rm", ...options, image, "sh", "-c", command];
}

/** Processor time of a command and what it starts, in milliseconds. */
export function commandCpuMs(command: string, args: readonly string[]): number {
  const script = 'times_of() { "$@" >/dev/null; times; }; times_of "$@"';
  const { stdout, status, stderr } = spawnSync("bash", ["-c", script, "bash", command, ...args], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  const children = stdout.trim().split("\n").at(-1)!;
  let ms = 0;
  for (const [, minutes, seconds] of children.matchAll(/(\d+)m([\d.]+)s/g)) {
    ms += (Number(minutes) * 60 + Number(seconds)) * 1000;
  }
  return ms;
}
