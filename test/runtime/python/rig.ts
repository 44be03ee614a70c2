// A Python host on a pipedef written by the test, with a script instead of a worker.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { HostOptions, LoadResult, PipedefHost } from "../../../runtime/host/host.js";
import { openPythonHost } from "../../../runtime/host/python/host.js";
import type { TaskEnd } from "../../../src/model/failure.js";
import type { AskedCommand, Outcome } from "../../../src/wire/worker.js";

export type Command = {
  readonly worker: string | null;
  readonly request: AskedCommand;
  readonly call: number;
  readonly signal: AbortSignal;
  /** What the command prints. */
  readonly print: (text: string) => void;
};

export type Answer = (command: Command) => Outcome | Promise<Outcome>;

export const exits = (exitCode: number): Outcome => ({ kind: "exited", exitCode });

/** A command that ends when it is told to, and not before. */
export const untilCancelled: Answer = ({ signal }) =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve({ kind: "cancelled" });
    signal.addEventListener("abort", () => resolve({ kind: "cancelled" }));
  });

export interface Ran {
  readonly end: TaskEnd;
  readonly output: string;
  readonly calls: readonly AskedCommand[];
}

export interface RigHost extends AsyncDisposable {
  readonly host: PipedefHost;
  readonly root: string;
  readonly loadOutput: () => string;
  readonly load: () => Promise<LoadResult>;
  readonly run: (label: string, options?: RunOptions) => Promise<Ran>;
}

export interface RunOptions {
  readonly answer?: Answer;
  readonly signal?: AbortSignal;
  readonly onOutput?: (soFar: string) => void | Promise<void>;
}

export interface Files {
  readonly [path: string]: string;
}

/** Writes the files into a fresh folder; the pipedef is .bettertest/pipedef.py unless `pipedef` says otherwise. */
export async function openRig(
  source: string | Files,
  options: Partial<HostOptions> = {},
): Promise<RigHost> {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "bettertest-python-")));
  const files = typeof source === "string" ? { ".bettertest/pipedef.py": source } : source;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  let printed = "";
  const host = await openPythonHost({
    home: "process",
    env: {},
    memoryBytes: 512 * 2 ** 20,
    stallTimeoutMs: 20_000,
    onLoadOutput: (bytes) => {
      printed += Buffer.from(bytes).toString();
    },
    ...options,
    pipedef: join(root, options.pipedef ?? ".bettertest/pipedef.py"),
  });
  return {
    host,
    root,
    loadOutput: () => printed,
    load: () => host.load(),
    run: (label, runOptions) => runTask(host, label, runOptions),
    async [Symbol.asyncDispose]() {
      await host.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The same, loaded; a problem is thrown. */
export async function loadRig(
  source: string | Files,
  options?: Partial<HostOptions>,
): Promise<RigHost> {
  const rig = await openRig(source, options);
  const loaded = await rig.load();
  if (!loaded.ok) {
    await rig[Symbol.asyncDispose]();
    throw new Error(`the test's pipedef does not load: ${JSON.stringify(loaded.problem)}`);
  }
  return rig;
}

async function runTask(host: PipedefHost, label: string, options: RunOptions = {}): Promise<Ran> {
  const { answer = () => exits(0), signal = new AbortController().signal, onOutput } = options;
  const [stage = "", task = ""] = label.split(".");
  const calls: AskedCommand[] = [];
  let output = "";
  const end = await host.runTask(
    { stage, task, attempt: 1 },
    {
      write(bytes) {
        output += Buffer.from(bytes).toString();
        return onOutput?.(output) ?? undefined;
      },
      async call({ worker, request, call }, callSignal) {
        calls.push(request);
        const print = (text: string) => {
          output += text;
        };
        const outcome = await answer({ worker, request, call, signal: callSignal, print });
        return { outcome, durationMs: 1, output: new Uint8Array(), outputBytes: 0 };
      },
    },
    signal,
  );
  return { end, output, calls };
}
