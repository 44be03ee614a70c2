// A worker on a free port with a client to it, and executors whose commands a test holds in its hand.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { CommandRequest, Outcome, WorkerInfo } from "../../src/wire/worker.js";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import type {
  Executor,
  OutputSink,
  SandboxExit,
  SandboxSpec,
} from "../../src/worker/executors/executor.js";
import { type RunningWorker, startWorker, type WorkerOptions } from "../../src/worker/main.js";

/** Made by scripts/base-image.mjs. */
export const image = "bettertest-base";

export interface Executed {
  readonly outcome: Outcome;
  readonly output: Buffer;
  readonly sandbox: string | null;
}

export interface TestWorker extends AsyncDisposable {
  readonly worker: RunningWorker;
  readonly client: WorkerClient;
  readonly url: string;
  execute(
    command: string,
    options?: Partial<CommandRequest>,
    signal?: AbortSignal,
  ): Promise<Executed>;
}

export async function startTestWorker(options: WorkerOptions): Promise<TestWorker> {
  const worker = await startWorker({ port: 0, version: "0.0.0-test", ...options });
  const client = createWorkerClient(worker.url);
  return {
    worker,
    client,
    url: worker.url,
    execute: (command, options, signal) => execute(client, { image, command, ...options }, signal),
    async [Symbol.asyncDispose]() {
      client.close();
      await worker.stop();
    },
  };
}

export async function execute(
  client: WorkerClient,
  request: CommandRequest,
  signal = new AbortController().signal,
): Promise<Executed> {
  const chunks: Uint8Array[] = [];
  let sandbox: string | null = null;
  const io = {
    output: (bytes: Uint8Array) => {
      chunks.push(bytes);
      return undefined;
    },
    started: (id: string) => {
      sandbox = id;
    },
  };
  const outcome = await client.execute(request, io, signal);
  return { outcome, output: Buffer.concat(chunks), sandbox };
}

/** A command that is known to run: it has printed something. */
export async function startCommand(client: WorkerClient, command: string, signal?: AbortSignal) {
  const printed = deferred<string>();
  const ended = client.execute(
    { image, command },
    {
      output: (bytes) => {
        printed.resolve(Buffer.from(bytes).toString());
        return undefined;
      },
      started: () => {},
    },
    signal ?? new AbortController().signal,
  );
  return { printed: await printed.promise, ended };
}

/** Resolves when the worker says of itself what is looked for. */
export async function infoThat(client: WorkerClient, fits: (info: WorkerInfo) => boolean) {
  const found = new AbortController();
  await client.watch(({ info }) => {
    if (info && fits(info)) found.abort();
  }, found.signal);
}

export function idle(client: WorkerClient): Promise<void> {
  return infoThat(client, ({ running, queued }) => running + queued === 0);
}

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

export interface WorkerProcess extends AsyncDisposable {
  readonly pid: number;
  readonly url: string;
  /** Without a chance to clean up. */
  kill(): Promise<void>;
  /** As where a whole service is killed: what watches over its sandboxes goes first. */
  killWithGuard(): Promise<void>;
  /** Lets the commands of the gated executor end. */
  openGate(): void;
}

export interface WorkerProcessOptions extends Omit<WorkerOptions, "log" | "executor"> {
  /** "gated": see worker-process.ts. */
  readonly executor: "docker" | "process" | "gated";
}

/** A worker in a process of its own, to be killed. */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const entry = fileURLToPath(new URL("./worker-process.js", import.meta.url));
  const child = spawn(process.execPath, [entry, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  const exited = once(child, "exit");
  const openGate = () => void child.send("open");
  const [line] = await Promise.race([
    once(child.stdout!, "data"),
    exited.then(() => Promise.reject(new Error("the worker process ended at its start"))),
  ]);
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  const killWithGuard = async () => {
    for (const guard of childrenOf(child.pid!)) process.kill(guard, "SIGKILL");
    await kill();
  };
  return {
    pid: child.pid!,
    url: String(line).trim(),
    kill,
    killWithGuard,
    openGate,
    [Symbol.asyncDispose]: kill,
  };
}

function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync("ps", ["-e", "-o", "pid=,ppid="], { encoding: "utf8" });
  return stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid ? [child!] : []));
}

export interface ScriptedCommand {
  readonly spec: SandboxSpec;
  readonly signals: string[];
  write(what: string | Uint8Array): Promise<void> | undefined;
  exit(code: number): void;
  /** It has ended; how is to be learned yet. */
  leaveNothingToKill(): void;
  fault(error: Error): void;
}

export interface ScriptedExecutor extends Executor {
  readonly disposed: number;
  /** The command that runs next, in order of their start. */
  nextCommand(): Promise<ScriptedCommand>;
}

/** SIGKILL ends a scripted command as it would a real one; everything else is the test's to say. */
/** `scripted`: what else their sandboxes say of how commands end. */
export function createScriptedExecutor(scripted: Partial<SandboxExit> = {}): ScriptedExecutor {
  const started: ScriptedCommand[] = [];
  const waiting: ((command: ScriptedCommand) => void)[] = [];
  let opened = 0;
  let disposed = 0;
  return {
    name: "scripted",
    isolated: false,
    get disposed() {
      return disposed;
    },
    nextCommand() {
      const command = started.shift();
      return command ? Promise.resolve(command) : new Promise((resolve) => waiting.push(resolve));
    },
    async open(spec) {
      const ended = deferred<number>();
      const signals: string[] = [];
      opened += 1;
      let gone = false;
      let hasEnded = false;
      return {
        id: `scripted-${opened}`,
        async run(sink: OutputSink) {
          const command: ScriptedCommand = {
            spec,
            signals,
            write: (what) => sink(Buffer.from(what)),
            exit: ended.resolve,
            leaveNothingToKill() {
              hasEnded = true;
            },
            fault: ended.reject,
          };
          const taker = waiting.shift();
          if (taker) taker(command);
          else started.push(command);
          return { exitCode: await ended.promise, outOfMemory: false, ...scripted };
        },
        kill(signal) {
          signals.push(signal);
          if (signal === "SIGKILL") ended.resolve(137);
          return !hasEnded;
        },
        async dispose() {
          if (!gone) disposed += 1;
          gone = true;
        },
      };
    },
    async close() {},
  };
}

/** Containers that belong to a process, as `docker ps` sees them. */
export function containersOf(pid: number): string[] {
  const format = '{{.ID}} {{.Label "bettertest.owner"}}';
  const { stdout } = spawnSync("docker", ["ps", "-a", "--format", format], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((line) => line.split("_").at(-2) === String(pid))
    .map((line) => line.slice(0, 12));
}

/** Looks again and again: for what nobody announces, like the end of somebody else's process. */
export async function eventually(holds: () => boolean | Promise<boolean>, withinMs = 20_000) {
  // Not by the clock of the wall, which a test may set.
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`did not come true within ${withinMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
