// A process group on this very machine for each command: no image, no isolation, and no engine needed.
//
// Of the limits a request may name, cpus and memory are let go: they hold back a command that runs wild,
// and change nothing for one that does not. What would change a command's meaning (another user, no
// network) is refused.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { Socket } from "node:net";
import { constants, userInfo } from "node:os";
import { join } from "node:path";
import { killGroup } from "../../lib/kill-group.js";
import type { SandboxFiles } from "../sandbox-files.js";
import type { SourcePlace } from "../sources/places.js";
import {
  type Executor,
  ExecutorFault,
  type MakePlace,
  type Sandbox,
  type SandboxSpec,
} from "./executor.js";
import { type ProcessGuard, startProcessGuard } from "./process-guard.js";
import { drain } from "./process-output.js";
import { createPipes, type Pipes } from "./process-pipes.js";
import { pathWithin } from "./source-path.js";

export interface ProcessExecutorOptions {
  /** Holds a working directory for each command. */
  readonly folder: string;
  /** Where commands start that name no workdir; absent: an empty folder each. */
  readonly startIn?: string;
  /** Absent: no command has a source. */
  readonly place?: MakePlace;
  readonly log: (line: string) => void;
}

/** Of the worker's own environment a command sees what programs need to work at all. */
const inheritedNames = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
];

export async function createProcessExecutor(options: ProcessExecutorOptions): Promise<Executor> {
  const { folder, startIn, log } = options;
  const guard = startProcessGuard();
  const pipes = createPipes(folder);
  const inherited = Object.fromEntries(
    inheritedNames.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  let opened = 0;

  return {
    name: "process",
    isolated: false,

    async open(spec, { signal, instead }) {
      if (spec.build) {
        throw new ExecutorFault("an image can only be built where there is a Docker engine", {
          hint: "this worker runs commands as plain processes (--executor process)",
        });
      }
      refuseWhatCannotBe(spec);
      // Images mean nothing here; what a command says of its own counts all the same.
      const given = await instead?.(spec.image);
      if (given) return given;
      opened += 1;
      const home = join(folder, `sandbox-${opened}`);
      await mkdir(home);
      const place = spec.source && (await options.place?.());
      try {
        if (spec.source) await place?.fill(spec.source.tree, spec.source.layers);
        const folder = folderOf(spec, place);
        if (folder !== undefined) await checkFolder(folder);
        signal.throwIfAborted();
        const env = { ...inherited, ...spec.env };
        const cwd = folder ?? startIn ?? home;
        return new ProcessSandbox({ spec, home, place, cwd, env, guard, pipes, log });
      } catch (error) {
        await place?.release();
        await rm(home, { recursive: true, force: true });
        throw error;
      }
    },

    async close() {
      guard.close();
    },
  };
}

interface ProcessSandboxDeps {
  readonly spec: SandboxSpec;
  /** Its own folder; goes with it. */
  readonly home: string;
  /** Of its source. */
  readonly place: SourcePlace | undefined;
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly guard: ProcessGuard;
  readonly pipes: Pipes;
  readonly log: (line: string) => void;
}

class ProcessSandbox implements Sandbox {
  readonly #deps: ProcessSandboxDeps;
  readonly id: string;
  #child: ChildProcess | null = null;
  #ended = false;
  #wanted: "SIGTERM" | "SIGKILL" | null = null;
  readonly files: SandboxFiles;
  readonly sourceFolder?: string;

  constructor(deps: ProcessSandboxDeps) {
    this.#deps = deps;
    const { cwd, home, place } = deps;
    if (place) this.sourceFolder = place.path;
    this.files = {
      ...{ kind: "folder", path: cwd, ...(cwd !== home && { since: Date.now() }) },
      ...(place && { source: place }),
    };
    this.id = `${process.pid}-${deps.home.slice(deps.home.lastIndexOf("-") + 1)}`;
  }

  async run(sink: Parameters<Sandbox["run"]>[0]) {
    const { readEnd, writeEnd } = await this.#deps.pipes.open();
    const output = new Socket({ fd: readEnd, readable: true, writable: false });
    const draining = drain(output, sink);
    draining.done.catch(() => {});
    try {
      const exitCode = await this.#execute(writeEnd);
      draining.ended();
      await draining.done;
      return { exitCode, outOfMemory: false };
    } catch (error) {
      output.destroy();
      const words = error instanceof Error ? error.message : String(error);
      throw new ExecutorFault(`could not run the command: ${words}`);
    }
  }

  /** Resolves to its exit code. */
  async #execute(writeEnd: number): Promise<number> {
    const { spec, cwd, env, guard } = this.#deps;
    try {
      const child = spawn("/bin/sh", ["-c", spec.command], {
        cwd,
        env,
        detached: true,
        stdio: ["ignore", writeEnd, writeEnd],
      });
      const ended = exitCodeOf(child);
      if (child.pid !== undefined) guard.add(child.pid);
      this.#child = child;
      if (this.#wanted) this.kill(this.#wanted);
      return await ended;
    } finally {
      this.#end();
      // Not before: a command may close its output and open it again.
      closeSync(writeEnd);
    }
  }

  kill(signal: "SIGTERM" | "SIGKILL") {
    if (this.#ended) return false;
    if (this.#wanted !== "SIGKILL") this.#wanted = signal;
    killGroup(this.#child?.pid, signal);
    return true;
  }

  /** As in a container: when the first process has ended, so do all the others. */
  #end() {
    const pid = this.#child?.pid;
    if (this.#ended || pid === undefined) return;
    killGroup(pid, "SIGKILL");
    this.#ended = true;
    this.#deps.guard.remove(pid);
  }

  async dispose() {
    this.#end();
    const { home, place, log } = this.#deps;
    await rm(home, { recursive: true, force: true, maxRetries: 3 }).catch((error: Error) => {
      log(`could not remove ${home}: ${error.message}`);
    });
    await place?.release();
  }
}

/** A path that a container would see below its source is here one below the source's own folder. */
function folderOf(
  { workdir, source }: SandboxSpec,
  place: SourcePlace | undefined,
): string | undefined {
  if (!source || !place) return workdir;
  const within = pathWithin(source.path, workdir ?? source.path);
  return within === null ? workdir : join(place.path, within);
}

function refuseWhatCannotBe({ user, network, diskBytes, services }: SandboxSpec) {
  const elsewhere = { hint: "Use a worker with --executor docker for this command" };
  if (services) {
    throw new ExecutorFault("the process executor cannot start services", elsewhere);
  }
  if (network === false) {
    throw new ExecutorFault(
      "the process executor cannot take the network away from a command",
      elsewhere,
    );
  }
  if (diskBytes !== undefined) {
    throw new ExecutorFault("the process executor cannot limit the disk of a command", elsewhere);
  }
  if (user === undefined) return;
  const self = userInfo();
  if (![self.username, String(self.uid)].includes(user)) {
    throw new ExecutorFault(`the process executor cannot run as user "${user}"`, elsewhere);
  }
}

async function checkFolder(path: string) {
  const found = await stat(path).catch(() => null);
  if (!found?.isDirectory()) {
    throw new ExecutorFault(`workdir ${path} is not a folder on the worker's machine`);
  }
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}
