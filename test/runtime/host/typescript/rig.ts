// A pipedef in a folder of its own, a host for it, and a worker that does what its command says.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type {
  HostOptions,
  LoadResult,
  PipedefHost,
  PipedefProblem,
  TaskIo,
} from "../../../../runtime/host/host.js";
import { openTypeScriptHost } from "../../../../runtime/host/typescript/host.js";
import type { HomeSource } from "../../../../runtime/host/typescript/pool.js";
import type { TaskEnd } from "../../../../src/model/failure.js";
import type { AskedCommand, Outcome } from "../../../../src/wire/worker.js";

export const homes = ["thread", "process"] as const;
export const MiB = 2 ** 20;

export interface Repo {
  readonly root: string;
  path(name: string): string;
  write(name: string, text: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A new folder with these files. */
export async function makeRepo(files: Readonly<Record<string, string>>): Promise<Repo> {
  const root = await mkdtemp(join(tmpdir(), "bettertest-repo-"));
  const repo: Repo = {
    root,
    path: (name) => join(root, name),
    async write(name, text) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), text);
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
  for (const [name, text] of Object.entries(files)) await repo.write(name, text);
  return repo;
}

export interface Ran {
  readonly end: TaskEnd;
  readonly output: string;
  readonly calls: readonly (AskedCommand & {
    readonly call: number;
    readonly worker: string | null;
  })[];
}

export interface TestHost extends AsyncDisposable {
  readonly host: PipedefHost;
  readonly loadOutput: () => string;
  load(): Promise<LoadResult & { ok: true }>;
  problem(): Promise<PipedefProblem & { readonly files: readonly string[] }>;
  /** "Stage.task" */
  run(label: string, options?: { signal?: AbortSignal; io?: Partial<TaskIo> }): Promise<Ran>;
}

export async function openTestHost(
  pipedef: string,
  options: Partial<HostOptions> = {},
  pool?: HomeSource,
): Promise<TestHost> {
  let printed = "";
  const host = await openTypeScriptHost(
    {
      pipedef,
      home: "thread",
      env: {},
      memoryBytes: 256 * MiB,
      stallTimeoutMs: 10_000,
      onLoadOutput: (bytes) => {
        printed += Buffer.from(bytes).toString();
      },
      ...options,
    },
    pool,
  );
  return {
    host,
    loadOutput: () => printed,
    async load() {
      const result = await host.load();
      assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.problem, null, 2));
      return result;
    },
    async problem() {
      const result = await host.load();
      assert.ok(!result.ok, "the pipedef was expected to be broken");
      return { ...result.problem, files: result.files };
    },
    async run(label, { signal = new AbortController().signal, io = {} } = {}) {
      const dot = label.indexOf(".");
      const chunks: Uint8Array[] = [];
      const calls: Ran["calls"][number][] = [];
      const ref = { stage: label.slice(0, dot), task: label.slice(dot + 1), attempt: 1 };
      const end = await host.runTask(
        ref,
        {
          write(bytes) {
            chunks.push(bytes);
            return undefined;
          },
          async call({ call, worker, request }, callSignal) {
            calls.push({ call, worker, ...request });
            const outcome = await scriptedOutcome(request.command, callSignal);
            const output = Buffer.from(`<${request.command}>\n`);
            chunks.push(output);
            return { outcome, durationMs: 1, output, outputBytes: output.length };
          },
          ...io,
        },
        signal,
      );
      return { end, output: Buffer.concat(chunks).toString(), calls };
    },
    [Symbol.asyncDispose]: () => host.close(),
  };
}

/** "exit N", "timeout", "oom", "fault", "hang" (until cancelled); all else ends well. */
async function scriptedOutcome(command: string, signal: AbortSignal): Promise<Outcome> {
  const [word, argument] = command.split(" ");
  switch (word) {
    case "exit":
      return { kind: "exited", exitCode: Number(argument) };
    case "timeout":
      return { kind: "timed-out", afterMs: 1500 };
    case "oom":
      return { kind: "out-of-memory", limitBytes: 64 * MiB };
    case "fault":
      return { kind: "faulted", message: "the worker is gone", hint: "Start it." };
    case "hang":
      await new Promise<void>((done) => {
        if (signal.aborted) done();
        signal.addEventListener("abort", () => done(), { once: true });
      });
      return { kind: "cancelled" };
    default:
      return { kind: "exited", exitCode: 0 };
  }
}
