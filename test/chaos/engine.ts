// A Docker engine of our own, to be killed. Its containers sit on a bridge of their own, where the ledger
// listens; nothing else of this machine's network is touched.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export interface OwnEngine extends AsyncDisposable {
  /** As --docker takes it. */
  readonly address: string;
  /** Of this machine on the containers' bridge. */
  readonly gateway: string;
  start(): Promise<void>;
  /** Without a chance to clean up. */
  kill(): Promise<void>;
  /** Ids, 12 digits each, of all containers there are. */
  containers(): string[];
}

/** False, or why there can be none. */
export function noOwnEngine(): false | string {
  if (process.getuid?.() !== 0) return "an engine of our own needs root";
  for (const program of ["dockerd", "docker", "ip"]) {
    if (spawnSync("sh", ["-c", `command -v ${program}`], { env: environment() }).status !== 0)
      return `${program} is not installed`;
  }
  return false;
}

/** Debian keeps dockerd and ip where a container's PATH may not look. */
function environment() {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}

export async function createEngine(folder: string): Promise<OwnEngine> {
  const env = environment();
  mkdirSync(folder, { recursive: true });
  const { bridge, gateway } = makeBridge();
  const socket = join(folder, "docker.sock");
  const address = `unix://${socket}`;
  const logFile = `${folder}.log`;
  const docker = (...args: string[]) =>
    execFileSync("docker", ["--host", address, ...args], { encoding: "utf8", env });
  let child: ReturnType<typeof spawn> | null = null;
  let exited: Promise<unknown> = Promise.resolve();

  const start = async () => {
    if (child) return;
    const log = openSync(logFile, "a");
    const flags = {
      "data-root": join(folder, "data"),
      "exec-root": join(folder, "exec"),
      pidfile: join(folder, "dockerd.pid"),
      host: address,
      bridge,
    };
    rmSync(flags.pidfile, { force: true });
    rmSync(join(flags["exec-root"], "containerd/containerd.pid"), { force: true });
    const started = spawn(
      "dockerd",
      [
        ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
        "--iptables=false",
        "--ip-forward=false",
        "--ip-masq=false",
      ],
      { stdio: ["ignore", log, log], env },
    );
    child = started;
    exited = once(started, "exit");
    const deadline = Date.now() + 60_000;
    while (spawnSync("docker", ["--host", address, "version"], { env }).status !== 0) {
      if (child !== started) return;
      if (started.exitCode !== null || Date.now() > deadline) {
        throw new Error(
          `our dockerd does not answer:\n${readFileSync(logFile, "utf8").slice(-2000)}`,
        );
      }
      await wait(100);
    }
  };

  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    child?.kill(signal);
    child = null;
    await exited;
  };

  const dispose = async () => {
    // One that was killed has left shims, which only a living engine ends.
    await start().catch(() => {});
    await end("SIGTERM");
    endShims(folder);
    for (const mount of mountsBelow(folder)) spawnSync("umount", ["--lazy", mount]);
    rmSync(folder, { recursive: true, force: true });
    spawnSync("ip", ["link", "delete", bridge], { env });
  };

  try {
    await start();
    const script = fileURLToPath(new URL("../../../scripts/base-image.mjs", import.meta.url));
    execFileSync(process.execPath, [script], { env: { ...env, DOCKER_HOST: address } });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    address,
    gateway,
    start,
    kill: () => end("SIGKILL"),
    containers: () => docker("ps", "-aq").split("\n").filter(Boolean),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Of engines that were killed; each names the folder of its engine. */
function endShims(folder: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [program, ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const isOurs =
        program?.includes("containerd-shim") &&
        args.some((argument) => argument.startsWith(`${folder}/`));
      if (isOurs) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

/** Innermost first. */
function mountsBelow(folder: string): string[] {
  return readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`))
    .reverse();
}

/** In a subnet that nobody here has yet. */
function makeBridge(): { bridge: string; gateway: string } {
  const env = environment();
  const taken = execFileSync("ip", ["-4", "-o", "addr"], { encoding: "utf8", env });
  const bridge = `chaos${process.pid}`;
  for (let subnet = 200; subnet < 255; subnet++) {
    const gateway = `10.213.${subnet}.1`;
    if (taken.includes(gateway)) continue;
    // With an address of its own. Otherwise it takes one from its containers, another one as they come and go,
    // and connections to it hang for as long as the others remember the last.
    const mac = `02:42:d5:${subnet.toString(16)}:00:01`;
    execFileSync("ip", ["link", "add", bridge, "address", mac, "type", "bridge"], { env });
    execFileSync("ip", ["addr", "add", `${gateway}/24`, "dev", bridge], { env });
    execFileSync("ip", ["link", "set", bridge, "up"], { env });
    return { bridge, gateway };
  }
  throw new Error("no subnet is free for a bridge");
}
