// A Docker engine of a test's own, to be stopped, killed and started again. As root only.

import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { image, noDocker } from "./docker.js";
import { eventually } from "./worker.js";

/** False, or why not: to be given to a test's `skip`. */
export function noOwnEngine(): false | string {
  if (process.getuid?.() !== 0) return "an engine of its own needs root";
  if (spawnSync("sh", ["-c", "command -v dockerd unshare"]).status !== 0) {
    return "dockerd or unshare is not installed";
  }
  return noDocker();
}

export interface OwnEngine extends AsyncDisposable {
  /** As DOCKER_HOST. */
  readonly address: string;
  start(): Promise<void>;
  /** SIGTERM: it ends its containers in order; SIGKILL: it leaves them running. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** It answers nobody any more; its containers go on. Until it is ended by SIGKILL, or goes on itself. */
  hang(): void;
  goOn(): void;
  docker(...args: string[]): string;
  /** Those of bettertest, running or not. */
  containers(): string[];
}

/** `ledger`: a folder of this machine that every container sees as /ledger. */
export async function startOwnEngine({ ledger }: { ledger?: string } = {}): Promise<OwnEngine> {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-engine-"));
  const path = (name: string) => join(folder, name);
  const address = `unix://${path("docker.sock")}`;
  let child: ReturnType<typeof spawn> | null = null;
  const docker = (...args: string[]) =>
    execFileSync("docker", ["--host", address, ...args], { encoding: "utf8", stdio: "pipe" });

  const log = openSync(path("log"), "a");

  const runtime = ledger === undefined ? [] : useRuntimeWith(ledger, path("runtime"));

  async function start() {
    // Without a bridge of its own it removes the one it finds, which is another engine's: so it must
    // find none.
    child = spawn(
      "unshare",
      [
        ...["--net", "dockerd", "--host", address, "--bridge=none", "--iptables=false"],
        ...runtime,
        ...["--data-root", path("data"), "--exec-root", path("exec"), "--pidfile", path("pid")],
      ],
      {
        stdio: ["ignore", log, log],
        env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
      },
    );
    const started = child;
    await eventually(async () => {
      if (started.exitCode !== null)
        throw new Error(readFileSync(path("log"), "utf8").slice(-2000));
      return answers(address);
    }, 60_000);
  }

  async function end(signal: "SIGTERM" | "SIGKILL") {
    if (!child) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
    child = null;
    if (signal === "SIGKILL") endContainerd();
  }

  /** It goes with a killed engine, but later; the next one would take it, or its number, for alive. */
  function endContainerd() {
    const pidFile = path("exec/containerd/containerd.pid");
    try {
      process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
    } catch {
      // It is gone already.
    }
    for (const file of [pidFile, path("pid")]) rmSync(file, { force: true });
  }

  await start();
  const saved = spawnSync("docker", ["save", image], { maxBuffer: 2 ** 28 }).stdout;
  execFileSync("docker", ["--host", address, "load"], { input: saved, stdio: "pipe" });
  return {
    address,
    start,
    end,
    hang: () => void child?.kill("SIGSTOP"),
    goOn: () => void child?.kill("SIGCONT"),
    docker,
    containers: () =>
      docker("ps", "-aq", "--filter", "label=bettertest.owner").trim().split("\n").filter(Boolean),
    async [Symbol.asyncDispose]() {
      try {
        child?.kill("SIGCONT");
        if (child === null) await start();
        const left = docker("ps", "-aq").trim().split("\n").filter(Boolean);
        if (left.length > 0) docker("rm", "-f", ...left);
      } catch {
        // After a kill a container's files may still be held by its keeper: its processes have ended all the
        // same, and its files go with the folder.
      } finally {
        await end("SIGTERM");
        endShims(folder);
        unmountBelow(folder);
        closeSync(log);
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

function unmountBelow(folder: string): void {
  const places = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${folder}/`));
  for (const place of places.reverse()) spawnSync("umount", ["-l", place]);
}

/** runc, with one more mount: a request to a worker has no means to ask for it, and shall have none. */
function useRuntimeWith(ledger: string, script: string): string[] {
  const options = ["rbind", "rw"];
  const mount = { destination: "/ledger", type: "bind", source: ledger, options };
  const edit = `s#"mounts":\\[#"mounts":[${JSON.stringify(mount)},#`;
  writeFileSync(
    script,
    `#!/bin/sh\nbefore=\nfor arg; do\n  [ "$before" = --bundle ] && sed -i '${edit}' "$arg/config.json"\n  before=$arg\ndone\nexec runc "$@"\n`,
    { mode: 0o755 },
  );
  return ["--add-runtime", `ledger=${script}`, "--default-runtime", "ledger"];
}

/** The keepers of containers whose engine was killed in the middle of making them: nobody else knows of them. */
function endShims(folder: string) {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const isShim = command.includes("containerd-shim") && command.includes(`${folder}/`);
      if (isShim) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Without blocking: a worker under test lives in this process. */
function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile("docker", ["--host", address, "version"], (error) => resolve(error === null));
  });
}
