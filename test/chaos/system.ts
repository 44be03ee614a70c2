// The system under test: one boss, one worker and one engine as real processes, a network between boss and
// worker that can be cut, a small disk for the boss, and the ledger.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type NetworkProxy, startProxy } from "../rig/proxy.js";
import { createEngine, type OwnEngine } from "./engine.js";
import { type Ledger, startLedger } from "./ledger.js";
import { pythonPipedef, typescriptPipedef } from "./pipedefs.js";
import { createProgram, freePort, type Program } from "./program.js";
import type { FaultKind } from "./schedule.js";

export interface Disk {
  fill(): void;
  free(): void;
}

export interface Clock {
  /** Of the boss alone, by so much from the true time. */
  step(byMs: number): void;
}

export interface System extends AsyncDisposable {
  readonly folder: string;
  readonly boss: Program;
  readonly worker: Program;
  readonly engine: OwnEngine;
  readonly network: NetworkProxy;
  readonly ledger: Ledger;
  readonly disk: Disk | null;
  readonly clock: Clock | null;
  /** Why some faults cannot be made on this machine. */
  readonly missing: ReadonlyMap<FaultKind, string>;
}

export const pipelines = ["ts", "py"] as const;
export type PipelineName = (typeof pipelines)[number];

const diskMegabytes = 48;
/** A boss alone on its disk never fills it: what is kept of ended runs is less. */
const keptRuns = 40;
const slots = 4;

export async function startSystem(
  folder: string,
  leaseMs: number,
  kinds: ReadonlySet<FaultKind>,
): Promise<System> {
  const parts = new Parts();
  try {
    mkdirSync(folder, { recursive: true });
    const engine = parts.own(await createEngine(join(folder, "engine")));
    const ledger = parts.own(await startLedger(engine.gateway));
    const place = { host: engine.gateway, port: ledger.port };
    const pipedefs = {
      ts: [".bettertest/pipedef.ts", typescriptPipedef({ ...place, pipeline: "ts" })],
      py: [".bettertest/pipedef.py", pythonPipedef({ ...place, pipeline: "py" })],
    } as const;
    for (const name of pipelines) {
      mkdirSync(join(folder, name, ".bettertest"), { recursive: true });
      writeFileSync(join(folder, name, pipedefs[name][0]), pipedefs[name][1]);
    }

    const missing = new Map<FaultKind, string>();
    const data = join(folder, "data");
    const disk = mountDisk(data, parts);
    if (!disk) missing.set("disk-full", "no tmpfs can be mounted");
    const clockFile = join(folder, "clock");
    const wantsClock = kinds.has("clock-stepped");
    const clockEnv = wantsClock ? fakeClock(clockFile) : null;
    if (wantsClock && !clockEnv) missing.set("clock-stepped", "libfaketime is not installed");

    const workerPort = await freePort();
    const worker = createProgram({
      // What is kept ready goes soon, so that what is left at the end of a round is a leak.
      args: [
        ...["worker", "--docker", engine.address, "--slots", String(slots)],
        ...["--pool-idle", "5s"],
      ],
      cwd: folder,
      port: workerPort,
      logFile: join(folder, "worker.log"),
    });
    parts.defer(() => worker.stop());
    const network = await startProxy(() => worker.url);
    parts.defer(async () => network[Symbol.dispose]());
    const boss = createProgram({
      args: [
        "boss",
        ...pipelines.flatMap((name) => ["--pipedef", join(folder, name, pipedefs[name][0])]),
        ...["--worker", network.url, "--worker-lease", `${leaseMs}ms`, "--infra-retries", "8"],
        ...["--data", data, "--keep-runs", String(keptRuns)],
      ],
      cwd: folder,
      port: await freePort(),
      logFile: join(folder, "boss.log"),
      env: clockEnv ?? {},
    });
    parts.defer(() => boss.stop());
    await worker.start();
    await boss.start();
    return {
      folder,
      boss,
      worker,
      engine,
      network,
      ledger,
      disk,
      clock: clockEnv && { step: (byMs) => writeClock(clockFile, byMs) },
      missing,
      [Symbol.asyncDispose]: () => parts.disposeAll(),
    };
  } catch (error) {
    await parts.disposeAll();
    throw error;
  }
}

/** Node 20 has no AsyncDisposableStack. */
class Parts {
  readonly #ends: (() => Promise<unknown>)[] = [];

  own<T extends AsyncDisposable>(part: T): T {
    this.defer(async () => part[Symbol.asyncDispose]());
    return part;
  }

  defer(end: () => Promise<unknown>): void {
    this.#ends.unshift(end);
  }

  async disposeAll(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }
}

function mountDisk(data: string, parts: Parts): Disk | null {
  mkdirSync(data, { recursive: true });
  const options = ["-t", "tmpfs", "-o", `size=${diskMegabytes}m`, "tmpfs", data];
  if (spawnSync("mount", options).status !== 0) return null;
  parts.defer(async () => void execFileSync("umount", ["--lazy", data]));
  const filler = join(data, "filler");
  return {
    fill() {
      const { bavail, bsize } = statfsSync(data);
      spawnSync("fallocate", ["-l", String(bavail * bsize), filler]);
    },
    free: () => rmSync(filler, { force: true }),
  };
}

/** The library is told to read a file for the offset, again and again, and to leave the timers alone. */
function fakeClock(file: string): Record<string, string> | null {
  const library = readdirSync("/usr/lib", { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
    .find((path) => existsSync(path));
  if (!library) return null;
  writeClock(file, 0);
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}

function writeClock(file: string, byMs: number): void {
  const seconds = Math.round(byMs / 1000);
  writeFileSync(file, `${seconds < 0 ? "" : "+"}${seconds}\n`);
}
