// How the code under test comes to a worker, against rsync, which does nothing else.

import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Sources } from "../src/boss/run/sources.js";
import type { RunEvent } from "../src/model/events.js";
import { createStatCache } from "../src/source/stat-cache.js";
import type { OutgoingTree } from "../src/wire/send-tree.js";
import { createWorkerClient, type WorkerClient } from "../src/wire/worker-client.js";
import { startDelayedLink } from "../test/rig/delayed-link.js";
import { bring, key, startSourceWorker } from "../test/rig/source-worker.js";
import {
  type Bench,
  type BenchContext,
  interleaved,
  type Pair,
  type Row,
  timed,
} from "./measure.js";
import { commandMs, startWorkerStand } from "./stand.js";

const delayMs = 50;
const manyTasks = 20;
/** And no cleaning up in the background, which takes files away under those who copy them. */
const identity = ["user.name=n", "user.email=e@x", "gc.auto=0"].flatMap((one) => ["-c", one]);

export const sourcesBench: Bench = {
  name: "sources",
  what: "the code under test on its way to a worker, against rsync",
  needs: ["rsync", "git"],

  async run(context) {
    const { folder, rounds, quick } = context;
    const root = join(folder, "repo");
    const size = quick ? { files: 500, bytes: 10e6 } : { files: 10_000, bytes: 200e6 };
    makeRepo(root, size);
    const what = `${size.files.toLocaleString("en")} files, ${size.bytes / 1e6} MB`;
    const against = "rsync -a";

    const first = await firstSync(root, context);

    const changed: Pair[] = [];
    const changedSince: Pair[] = [];
    const trips: Pair[] = [];
    let sent: Pair[] = [];
    {
      await using worker = await startWorkerStand(join(folder, "worker"), [], "process");
      const near = new Boss(root, folder, worker.url);
      const running = new Boss(root, join(folder, "running"), worker.url, true);
      await near.bring();
      await running.bring();
      const copy = join(folder, "copy");
      await commandMs("rsync", ["-a", `${root}/`, copy]);
      for (const [pairs, boss] of [
        [changed, near],
        [changedSince, running],
      ] as const) {
        const all = await interleaved(
          rounds,
          async () => {
            edit(root);
            return boss.bring();
          },
          async () => {
            edit(root);
            return commandMs("rsync", ["-a", `${root}/`, copy]);
          },
        );
        pairs.push(...all);
      }
      await running.end();
      sent = await bytesOfTasks(near, root, rounds);
      trips.push(...(await roundTrips(root, near, { ...context, worker: worker.url, copy })));
      near.close();
    }

    const rows: Row[] = [
      {
        what: `first sync of ${what} over loopback`,
        against,
        unit: "ms",
        rounds: first,
        target: { of: "ratio", atMost: 1 },
      },
      {
        what: "the same after one file changed, from scan to tree ready, by a boss that runs",
        against,
        unit: "ms",
        rounds: changedSince,
        target: { of: "ratio", atMost: 0.5 },
        note: "should be 150 ms at most, too",
      },
      {
        what: "the same, by a boss that was just started",
        against,
        unit: "ms",
        rounds: changed,
        target: { of: "ratio", atMost: 0.5 },
      },
      {
        what: `${manyTasks} tasks of one run on the same source: bytes sent`,
        against: "one task",
        unit: "KB",
        rounds: sent,
        target: { of: "ratio", atMost: 1 },
      },
      {
        what: `one file changed, over a link with ${delayMs} ms delay`,
        against: `${against} to its daemon`,
        unit: "round trips",
        rounds: trips,
        target: { of: "measured", atMost: 4 },
        note: "what the link adds, in round trips of it",
      },
    ];
    if (process.getuid?.() === 0) {
      rows.push({
        what: `the tree of ${what} for one more task`,
        against: "cp -a",
        unit: "ms",
        rounds: await oneMore(root, context),
        target: { of: "measured", atMost: 100 },
      });
    }
    return rows;
  },
};

export function makeRepo(root: string, { files, bytes }: { files: number; bytes: number }): void {
  for (let at = 0; at < files; at++) {
    const folder = join(root, `folder-${at % 100}`, `sub-${at % 7}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file-${at}.txt`), randomBytes(Math.round(bytes / files)));
  }
  const git = (...args: readonly string[]) =>
    spawnSync("git", [...identity, ...args], { cwd: root });
  git("init", "-q");
  git("add", "-A");
  git("commit", "-qm", "all");
  // One that was cloned a while ago, not a moment: git need not read its files again.
  spawnSync("sleep", ["2.5"]);
}

/** The file that changes. */
export const edited = "folder-3/sub-3/file-3.txt";
let edits = 0;

/** Returns its new last line. */
export function edit(root: string): string {
  edits += 1;
  const line = `edit ${edits}`;
  appendFileSync(join(root, edited), `\n${line}`);
  return line;
}

/** What a boss does for a run whose first command asks for the working tree. */
class Boss {
  readonly #root: string;
  readonly #cache: string;
  readonly #client: WorkerClient;
  readonly #stays: boolean;
  #sources: Sources | null = null;
  bytesSent = 0;

  /** `stays`: it remembers what it has seen. Else each time is like the first of a boss, with what it finds on disk. */
  constructor(root: string, folder: string, url: string, stays = false) {
    this.#root = root;
    this.#cache = join(folder, "cache");
    this.#stays = stays;
    const client = createWorkerClient(url);
    this.#client = {
      ...client,
      // It is a getter.
      get instance() {
        return client.instance;
      },
      sendTree: async (tree: OutgoingTree, by) => {
        const answer = await client.sendTree(tree, by);
        this.bytesSent += answer.bytesSent;
        return answer;
      },
    };
  }

  /** Returns the milliseconds. */
  async bring(tasks = 1): Promise<number> {
    this.#sources ??= new Sources({
      folder: this.#cache,
      secret: () => undefined,
      workers: () => [this.#client],
    });
    const sources = this.#sources;
    const events: RunEvent[] = [];
    const ofRun = sources.forRun({
      root: this.#root,
      fixed: [],
      left: async () => [],
      emit: (event) => events.push(event),
      now: Date.now,
    });
    const never = new AbortController().signal;
    setMaxListeners(0, never);
    const ms = await timed(() =>
      Promise.all(
        Array.from({ length: tasks }, () => ofRun({ kind: "workspace" }, this.#client, never)),
      ),
    );
    if (!this.#stays) await this.#forget();
    return ms;
  }

  async #forget(): Promise<void> {
    await this.#sources?.close();
    this.#sources = null;
  }

  async end(): Promise<void> {
    await this.#forget();
    this.close();
  }

  close(): void {
    this.#client.close();
  }
}

async function firstSync(root: string, { folder, rounds }: BenchContext): Promise<Pair[]> {
  return interleaved(
    rounds,
    async () => {
      const own = join(folder, "first");
      let ms = 0;
      {
        await using worker = await startWorkerStand(own, [], "process");
        const boss = new Boss(root, own, worker.url);
        ms = await boss.bring();
        boss.close();
      }
      rmSync(own, { recursive: true });
      return ms;
    },
    async () => {
      const copy = join(folder, "first-copy");
      const ms = await commandMs("rsync", ["-a", `${root}/`, copy]);
      rmSync(copy, { recursive: true });
      return ms;
    },
  );
}

async function bytesOfTasks(boss: Boss, root: string, rounds: number): Promise<Pair[]> {
  const sentBy = async (tasks: number) => {
    const before = boss.bytesSent;
    edit(root);
    await boss.bring(tasks);
    return (boss.bytesSent - before) / 1000;
  };
  return interleaved(
    rounds,
    () => sentBy(manyTasks),
    () => sentBy(1),
  );
}

interface FarSide extends BenchContext {
  readonly worker: string;
  readonly copy: string;
}

/** Near and far in turn: their difference is what the link costs. */
async function roundTrips(root: string, near: Boss, { folder, rounds, worker, copy }: FarSide) {
  const daemon = await startRsyncDaemon(folder, copy);
  await using toWorker = await startDelayedLink(
    { host: "127.0.0.1", port: Number(new URL(worker).port) },
    delayMs,
  );
  await using toRsync = await startDelayedLink({ host: "127.0.0.1", port: daemon.port }, delayMs);
  const changedMs = async (work: () => Promise<number>) => {
    edit(root);
    return work();
  };
  const rsync = (at: number) => () =>
    commandMs("rsync", ["-a", `${root}/`, `rsync://127.0.0.1:${at}/copy`]);
  try {
    return await interleaved(
      rounds,
      async () => {
        // A connection of its own, as a program has that was just started.
        const far = new Boss(root, folder, `http://127.0.0.1:${toWorker.port}`);
        const farMs = await changedMs(() => far.bring());
        far.close();
        return Math.max(0, (farMs - (await changedMs(() => near.bring()))) / delayMs);
      },
      async () => {
        const farMs = await changedMs(rsync(toRsync.port));
        return Math.max(0, (farMs - (await changedMs(rsync(daemon.port)))) / delayMs);
      },
    );
  } finally {
    daemon.end();
  }
}

async function startRsyncDaemon(folder: string, copy: string) {
  const config = join(folder, "rsyncd.conf");
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const as = process.getuid?.() === 0 ? "uid = 0\ngid = 0\n" : "";
  writeFileSync(config, `use chroot = no\n${as}[copy]\npath = ${copy}\nread only = no\n`);
  const daemon = spawn(
    "rsync",
    ["--daemon", "--no-detach", `--config=${config}`, `--port=${port}`, "--address=127.0.0.1"],
    { stdio: "ignore" },
  );
  const end = () => void daemon.kill();
  process.once("exit", end);
  for (let tries = 0; tries < 100; tries++) {
    const { status } = spawnSync("rsync", [`rsync://127.0.0.1:${port}/`], { stdio: "ignore" });
    if (status === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { port, end };
}

/** In this process: how a folder is made of a tree that is here. */
async function oneMore(root: string, { folder, rounds, quick }: BenchContext): Promise<Pair[]> {
  await using worker = await startSourceWorker({
    folder: join(folder, "materialize"),
    maxBytes: 2 ** 40,
  });
  const { store } = worker;
  // Whoever interrupts the benchmarks must not leave mounts behind, which keep the folder from being removed, too.
  const mounts = join(worker.folder, "mounts");
  process.prependOnceListener("exit", () => {
    const table = readFileSync("/proc/self/mountinfo", "utf8");
    const mine = table.split("\n").flatMap((line) => line.split(" ")[4] ?? []);
    for (const path of mine.reverse()) {
      if (path === mounts || path.startsWith(`${mounts}/`)) spawnSync("umount", ["-l", path]);
    }
  });
  const { hash } = await bring(root, createStatCache(), worker.client);
  const name = { tree: hash, key };
  const places = [];
  // "Whatever the number of tasks before it": these stay.
  for (let at = 0; at < (quick ? 2 : manyTasks); at++) {
    const place = await store.place();
    await place.fill(name);
    places.push(place);
  }
  const pairs = await interleaved(
    rounds,
    () =>
      timed(async () => {
        const place = await store.place();
        await place.fill(name);
        places.push(place);
      }),
    async () => {
      const copy = join(folder, "cp");
      const ms = await commandMs("cp", ["-a", root, copy]);
      rmSync(copy, { recursive: true });
      return ms;
    },
  );
  for (const place of places) await place.release();
  return pairs;
}
