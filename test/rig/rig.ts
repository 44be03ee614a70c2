// Boots the real system in a temporary folder: a boss, a worker, a pipedef, on free ports.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { engineDefaults } from "../../src/boss/engine-options.js";
import { type BossOptions, type RunningBoss, startBoss } from "../../src/boss/main.js";
import { parseSse, type SseMessage } from "../../src/lib/sse.js";
import { eachTask, findTask, type Run } from "../../src/model/run.js";
import { type RunningWorker, startWorker } from "../../src/worker/main.js";

export interface RigOptions extends Partial<BossOptions> {
  /** Files of the repo by path; `.bettertest/pipedef.ts` is the pipedef unless `pipedefs` says otherwise. */
  readonly files: Readonly<Record<string, string>>;
  readonly executor?: "docker" | "process";
  readonly slots?: number;
  readonly dockerHost?: string;
}

export interface Rig extends AsyncDisposable {
  readonly folder: string;
  readonly boss: RunningBoss;
  readonly worker: RunningWorker;
  readonly url: string;
  write(path: string, text: string): void;
  /** Starts a run by the engine and waits for its end. */
  run(request?: { only?: string[]; keepGoing?: boolean }): Promise<Run>;
  output(run: number, stage: string, task: string): Promise<string>;
  get<T>(path: string): Promise<T>;
  post(path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }>;
  sse(path: string, headers?: Record<string, string>): AsyncGenerator<SseMessage>;
}

/** In a pipedef's text, WORKER_URL stands for the rig's worker. */
export async function startRig({
  files,
  executor = "process",
  slots = 2,
  dockerHost,
  ...options
}: RigOptions): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-rig-"));
  const worker = await startWorker({
    host: "127.0.0.1",
    port: 0,
    executor,
    slots,
    ...(dockerHost !== undefined && { dockerHost }),
    ...(options.maxOutputBytes !== undefined && { maxOutputBytes: options.maxOutputBytes }),
    ...(options.maxArtifactBytes !== undefined && { maxArtifactBytes: options.maxArtifactBytes }),
    version: "0.0.0-test",
    log: () => {},
  });
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, "repo", path)), { recursive: true });
    writeFileSync(join(folder, "repo", path), text.replaceAll("WORKER_URL", worker.url));
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  const boss = await startBoss({
    ...engineDefaults,
    host: "127.0.0.1",
    port: 0,
    version: "0.0.0-test",
    pipedefs: [join(folder, "repo")],
    workers: [worker.url],
    history: { kind: "memory", folder: join(folder, "data") },
    log: () => {},
    ...options,
  });
  await boss.engine.pipelines.ready;

  const { engine, url } = boss;
  return {
    folder,
    boss,
    worker,
    url,
    write,
    async run(request = {}) {
      const started = engine.start({ ...request, trigger: "test" });
      if (!started.ok) throw new Error(started.error);
      return engine.finished(started.run);
    },
    async output(run, stage, task) {
      const path = [stage, task].map(encodeURIComponent).join("/");
      const response = await fetch(`${url}/api/runs/${run}/tasks/${path}/output?follow=1`);
      if (!response.ok) throw new Error(await response.text());
      return response.text();
    },
    async get<T>(path: string) {
      const response = await fetch(url + path);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    async post(path, body) {
      const response = await fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    async *sse(path, headers = {}) {
      const response = await fetch(url + path, { headers });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      yield* parseSse(response.body!);
    },
    async [Symbol.asyncDispose]() {
      await boss.stop();
      await worker.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** "Stage.task status" of each task, in order: a run at a glance. */
export function glance(run: Run): string[] {
  return [...eachTask(run)].map(({ ref, task }) => `${ref.stage}.${ref.task} ${task.status}`);
}

export function statusOf(run: Run, stage: string, task: string): string | undefined {
  return findTask(run, { stage, task })?.status;
}
