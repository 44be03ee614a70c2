// A boss or a worker as a process that is killed and started again, always at the same address.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { program } from "../cli/rig.js";

export interface Program {
  readonly url: string;
  /** Resolves when it answers. */
  start(): Promise<void>;
  kill(): Promise<void>;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
}

export interface ProgramOptions {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly port: number;
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function createProgram({ args, cwd, port, logFile, env = {} }: ProgramOptions): Program {
  const url = `http://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  let exited: Promise<unknown[]> = Promise.resolve([]);
  return {
    url,
    async start() {
      if (child) return;
      const log = openSync(logFile, "a");
      const started = spawn(process.execPath, [program, ...args, "--port", String(port)], {
        cwd,
        env: { ...process.env, ...env },
        stdio: ["ignore", log, log],
      });
      child = started;
      exited = once(started, "exit");
      const deadline = Date.now() + 60_000;
      while (!(await answers(url))) {
        if (child !== started) return;
        if (started.exitCode !== null || Date.now() > deadline) {
          child = null;
          throw new Error(
            `${args[0]} does not start (exit code ${started.exitCode}): see ${logFile}`,
          );
        }
        await wait(50);
      }
    },
    async kill() {
      child?.kill("SIGKILL");
      child = null;
      await exited;
    },
    async stop() {
      const stopping = child;
      child = null;
      stopping?.kill("SIGTERM");
      await exited;
      return stopping?.exitCode ?? null;
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
