// The Python host: one interpreter per run, which loads the pipedef once and forks for each task.
// Its other side is compat-python/bettertest/_bridge.py.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { killGroup } from "../../../src/lib/kill-group.js";
import { onAbort } from "../../../src/lib/on-abort.js";
import { onSilence, type Silence } from "../../../src/lib/silence.js";
import type { Fault, TaskEnd } from "../../../src/model/failure.js";
import type { TaskRef } from "../../../src/model/pipeline.js";
import type { FromInterpreter, ToInterpreter } from "../../../src/wire/python-bridge.js";
import type { HostOptions, LoadResult, PipedefHost, PipedefProblem, TaskIo } from "../host.js";
import { boundedLoadOutput } from "../load-output.js";
import { repoRoot } from "../repo-root.js";
import { FrameReader } from "./frames.js";
import { findInterpreter } from "./interpreter.js";
import { isWholeStack, stalledProblem } from "./stalled.js";
import { TaskRun } from "./task-run.js";

const shimFolder = fileURLToPath(new URL("../../../../compat-python", import.meta.url));

// -u: what a task prints is out before the task goes on or dies. utf8: whatever the boss's locale is.
const flags = ["-u", "-X", "utf8", "-X", "faulthandler"];
const bootstrap =
  "import sys; sys.path[0] = sys.argv.pop(1); from bettertest._bridge import main; main(sys.argv[1:])";

/** How long an interpreter that was told to end may take before it is killed. */
const endGraceMs = 2000;
/** What the interpreter itself may need before the pipedef's code begins, on a machine that is very busy. */
const startTimeoutMs = 30_000;
/** How long it may take to say where it is stuck. */
const stackTimeoutMs = 2000;
/** How long its last words may take after its exit; a fork of it may hold the streams open. */
const lastWordsMs = 200;

export async function openPythonHost(options: HostOptions): Promise<PipedefHost> {
  const root = repoRoot(options.pipedef);
  if (!options.sources?.has(options.pipedef) && !existsSync(options.pipedef)) {
    return hostWithoutInterpreter(options.pipedef, {
      kind: "import",
      message: `there is no pipedef ${options.pipedef}`,
    });
  }
  const interpreter = await findInterpreter(root);
  if (!interpreter.ok) return hostWithoutInterpreter(options.pipedef, interpreter.problem);
  const { memoryBytes, stallTimeoutMs } = options;
  const settings = JSON.stringify({ memoryBytes, stallTimeoutMs });
  const child = spawn(
    interpreter.path,
    [...flags, "-c", bootstrap, shimFolder, options.pipedef, settings],
    {
      cwd: root,
      env: { ...options.env },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
      // Its own process group: it is ended as a whole, and a Ctrl-C in the boss's terminal is the boss's to handle.
      detached: true,
    },
  );
  return new PythonHost(child, options, root);
}

function hostWithoutInterpreter(pipedef: string, problem: PipedefProblem): PipedefHost {
  return {
    load: async () => ({ ok: false, problem, files: [pipedef] }),
    runTask: async () => ({ status: "errored", fault: { message: problem.message } }),
    broken: new Promise(() => {}),
    close: async () => {},
  };
}

class PythonHost implements PipedefHost {
  readonly broken: Promise<Fault>;
  readonly #child: ChildProcess;
  readonly #control: Duplex;
  readonly #options: HostOptions;
  readonly #root: string;
  readonly #frames = new FrameReader();
  readonly #loadOutput: (bytes: Uint8Array) => void;
  readonly #exited: Promise<void>;
  readonly #printedAll: Promise<void>;
  #markBroken!: (fault: Fault) => void;
  #state: "opened" | "loading" | "loaded" | "over" = "opened";
  #loadEnded: (result: LoadResult) => void = () => {};
  /** What the interpreter says of itself, apart from what the pipedef prints. */
  #diagnosis = "";
  #tasks = new Map<number, TaskRun>();
  #pids = new Map<number, number>();
  /** A boss that stood still must not take that for the interpreter's silence. */
  #timers = new Map<number, Silence>();
  #lastTask = 0;
  #loadTimer: Silence | undefined;
  #closing: Promise<void> | null = null;

  constructor(child: ChildProcess, options: HostOptions, root: string) {
    this.#child = child;
    this.#options = options;
    this.#root = root;
    this.broken = new Promise((resolve) => {
      this.#markBroken = resolve;
    });
    // A process that cannot be started at all says so here, and may have no streams.
    child.on("error", () => {});
    const control = child.stdio?.[3];
    if (!(control instanceof Duplex) || !child.stdout || !child.stderr) {
      throw new Error("the interpreter's streams are missing");
    }
    this.#control = control;
    // Writing to an interpreter that is gone: its exit tells the story.
    control.on("error", () => {});
    control.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#loadOutput = boundedLoadOutput(options.onLoadOutput);
    child.stdout.on("data", this.#loadOutput);
    this.#printedAll = new Promise((resolve) => child.stdout?.once("close", resolve));
    child.stderr.on("data", (chunk: Buffer) => {
      this.#diagnosis = (this.#diagnosis + chunk.toString()).slice(-8192);
    });
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#afterLastWords(() => {
          this.#interpreterGone(
            signal ? `was killed by ${signal}` : `ended with exit code ${code}`,
          );
        });
        resolve();
      });
      child.once("error", (error) => {
        this.#interpreterGone(`could not be started: ${error.message}`);
        resolve();
      });
    });
  }

  async load(): Promise<LoadResult> {
    if (this.#state !== "opened") throw new Error("load is called once, on a host that is open");
    this.#state = "loading";
    const result = new Promise<LoadResult>((resolve) => {
      this.#loadEnded = resolve;
    });
    this.#limitLoading(this.#options.stallTimeoutMs + startTimeoutMs);
    const { sources = new Map<string, Uint8Array>() } = this.#options;
    const inBase64 = [...sources].map(([path, bytes]): [string, string] => [
      path,
      Buffer.from(bytes).toString("base64"),
    ]);
    this.#send({ type: "load", sources: Object.fromEntries(inBase64) });
    const loaded = await result;
    this.#loadTimer?.stop();
    // The interpreter gives its first stdout back when it is loaded; a process that was started meanwhile may keep it.
    await Promise.race([this.#printedAll, delay(lastWordsMs)]);
    return loaded;
  }

  async runTask(
    task: TaskRef & { readonly attempt: number },
    io: TaskIo,
    signal: AbortSignal,
  ): Promise<TaskEnd> {
    if (signal.aborted) return { status: "cancelled" };
    if (this.#state !== "loaded") return { status: "errored", fault: hostOver };
    this.#lastTask += 1;
    const id = this.#lastTask;
    const run = new TaskRun(id, io, (message) => this.#send(message));
    const cancel = () => {
      run.cancel();
      this.#send({ type: "cancel", task: id });
      this.#expectAnswer(id, "to cancel a task");
    };
    const forget = onAbort(signal, cancel);
    this.#tasks.set(id, run);
    this.#send({ type: "start", task: id, stage: task.stage, name: task.task });
    this.#expectAnswer(id, "to start a task");
    const end = await run.ended;
    forget();
    this.#tasks.delete(id);
    return end;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    const wasLoaded = this.#state === "loaded";
    this.#loadTimer?.stop();
    this.#finishTasks(hostOver);
    const problem = {
      kind: "host",
      message: "the host was closed before the pipedef was loaded",
    } as const;
    this.#loadEnded({ ok: false, problem, files: [this.#options.pipedef] });
    this.#state = "over";
    // At the end of its stream the interpreter ends its tasks, then itself. While it loads it does not listen.
    this.#control.end();
    if (!wasLoaded) this.#kill();
    const late = setTimeout(() => this.#kill(), endGraceMs);
    await this.#exited;
    clearTimeout(late);
    for (const stream of [this.#control, this.#child.stdout, this.#child.stderr]) stream?.destroy();
  }

  #receive(chunk: Buffer) {
    try {
      for (const { message, payload } of this.#frames.read(chunk)) this.#take(message, payload);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      this.#control.removeAllListeners("data");
      this.#break({ message: `the Python interpreter sent what cannot be read: ${words}` });
    }
  }

  #take(message: FromInterpreter, payload: Buffer) {
    switch (message.type) {
      case "loading":
        this.#limitLoading(this.#options.stallTimeoutMs);
        return;
      case "loaded":
        if (this.#state === "loading") this.#state = "loaded";
        this.#loadEnded({ ok: true, pipeline: message.pipeline, files: message.files });
        return;
      case "problem":
        this.#state = "over";
        this.#loadEnded({ ok: false, problem: message.problem, files: message.files });
        return;
      case "printed":
        this.#loadOutput(payload);
        return;
      case "started":
        this.#answered(message.task);
        this.#pids.set(message.task, message.pid);
        return;
      case "output":
        this.#tasks.get(message.task)?.output(payload);
        return;
      case "call":
        this.#call(message);
        return;
      case "abandoned":
        this.#tasks.get(message.task)?.abandon(message.call);
        return;
      case "exited":
        this.#answered(message.task);
        this.#pids.delete(message.task);
        return;
      case "ended":
        this.#answered(message.task);
        this.#tasks.get(message.task)?.finish(message.end);
        return;
      default:
        message satisfies never;
    }
  }

  #call({ task, call, worker, request }: Extract<FromInterpreter, { readonly type: "call" }>) {
    const asked = this.#tasks.get(task);
    if (request.refused === null) asked?.call(call, { worker, request: request.command });
    else asked?.refuse(call, request.refused);
  }

  #send(message: ToInterpreter) {
    if (this.#control.writable) this.#control.write(`${JSON.stringify(message)}\n`);
  }

  /** The interpreter only ever waits for events, so silence means that something stopped it. */
  #expectAnswer(task: number, what: string) {
    this.#timers.get(task)?.stop();
    const { stallTimeoutMs } = this.#options;
    const timer = onSilence(stallTimeoutMs, () => {
      const seconds = stallTimeoutMs / 1000;
      this.#break({
        message: `the Python interpreter did not answer for ${seconds} s when told ${what}`,
      });
    });
    this.#timers.set(task, timer);
  }

  #answered(task: number) {
    this.#timers.get(task)?.stop();
    this.#timers.delete(task);
  }

  #limitLoading(withinMs: number) {
    this.#loadTimer?.stop();
    if (this.#state === "loading") {
      this.#loadTimer = onSilence(withinMs, () => void this.#stalledLoading());
    }
  }

  async #stalledLoading() {
    this.#diagnosis = "";
    const answer = new Promise<void>((resolve) => {
      this.#child.stderr?.on("data", () => {
        if (isWholeStack(this.#diagnosis)) resolve();
      });
    });
    // It answers with the lines it is at, even from C code.
    this.#child.kill("SIGUSR1");
    await Promise.race([answer, delay(stackTimeoutMs)]);
    const problem = stalledProblem({
      dump: this.#diagnosis,
      root: this.#root,
      pipedef: this.#options.pipedef,
      afterMs: this.#options.stallTimeoutMs,
    });
    this.#state = "over";
    this.#kill();
    this.#loadEnded({ ok: false, problem, files: [this.#options.pipedef] });
  }

  #afterLastWords(then: () => void) {
    if (this.#control.destroyed || this.#control.readableEnded) return then();
    const late = setTimeout(() => then(), lastWordsMs);
    this.#control.once("end", () => {
      clearTimeout(late);
      then();
    });
  }

  #interpreterGone(how: string) {
    const { pipedef } = this.#options;
    if (this.#state === "loading" || this.#state === "opened") {
      const problem: PipedefProblem = {
        kind: "threw",
        message: `the Python interpreter ${how} while it loaded ${basename(pipedef)}`,
        ...(this.#diagnosis && { stack: this.#diagnosis.trimEnd() }),
      };
      this.#state = "over";
      this.#loadEnded({ ok: false, problem, files: [pipedef] });
    } else if (this.#state === "loaded") {
      this.#break({ message: `the Python interpreter of ${basename(pipedef)} ${how}` });
    }
  }

  #break(fault: Fault) {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#kill();
    this.#finishTasks(fault);
    this.#markBroken(fault);
  }

  #finishTasks(fault: Fault) {
    for (const timer of this.#timers.values()) timer.stop();
    this.#timers.clear();
    for (const run of this.#tasks.values()) {
      run.stopCalls();
      run.finish({ status: "errored", fault });
    }
  }

  #kill() {
    for (const pid of [...this.#pids.values(), this.#child.pid]) {
      killGroup(pid, "SIGKILL");
    }
    this.#pids.clear();
  }
}

const hostOver: Fault = { message: "the pipedef's Python interpreter has ended" };

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
