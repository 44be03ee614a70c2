// What a worker keeps of builds, by its contract: without a boss.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { encodeManifest, type Manifest, parseManifest } from "../../src/source/manifest.js";
import { createStatCache } from "../../src/source/stat-cache.js";
import type { ExecutionIo } from "../../src/wire/command-attempt.js";
import { PackReader } from "../../src/wire/file-pack.js";
import type { CommandRequest } from "../../src/wire/worker.js";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import { partOf } from "../../src/worker/builds/reads.js";
import { CacheStore } from "../../src/worker/caches/cache-store.js";
import { type Executor, ExecutorFault } from "../../src/worker/executors/executor.js";
import { unmountAll } from "../../src/worker/sources/overlay.js";
import { bring, key } from "../rig/source-worker.js";
import { deferred, startTestWorker, startWorkerProcess } from "../rig/worker.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-built-"));
after(async () => {
  await unmountAll(scratch);
  rmSync(scratch, { recursive: true, force: true });
});

const scope = "0123456789abcdef-scope";

test("the part of a tree that is read is a tree, with the folders on the way", () => {
  const file = (path: string) =>
    ({ kind: "file", path, mode: 0o644, size: 1, hash: "0".repeat(64) }) as const;
  const dir = (path: string) => ({ kind: "dir", path, mode: 0o755 }) as const;
  const latin = Buffer.from("src/grün.txt").toString("latin1");
  const tree: Manifest = [
    ...[
      file(".env"),
      dir("docs"),
      file("docs/a.md"),
      file("package.json"),
      dir("src"),
      dir("src/deep"),
    ],
    ...[file("src/deep/b.ts"), dir("src/empty"), file(latin)],
    { kind: "link", path: "src/link", target: "../docs" },
    file("srcs.ts"),
  ];
  assert.ok(parseManifest(encodeManifest(tree)));
  const { manifest, unmatched } = partOf(tree, ["src/**", "package.json", "docs/*.txt", "*.env"]);
  assert.ok(parseManifest(encodeManifest(manifest)));
  assert.deepEqual(
    manifest.map(({ path }) => path),
    ["package.json", "src", "src/deep", "src/deep/b.ts", latin, "src/link"],
  );
  assert.deepEqual(unmatched, ["docs/*.txt", "*.env"]);
});

interface Built {
  readonly cached: boolean;
  /** Of each file, by its path. */
  readonly digests: Readonly<Record<string, string>>;
}

async function build(
  client: WorkerClient,
  request: Omit<CommandRequest, "image">,
  io: Partial<ExecutionIo> = {},
): Promise<Built> {
  const digests: Record<string, string> = {};
  let hash = createHash("sha256");
  let path = "";
  const pack = new PackReader({
    begin: (file) => {
      path = file.path;
      hash = createHash("sha256");
    },
    bytes: (chunk) => void hash.update(chunk),
    end: () => {
      digests[path] = hash.digest("hex");
    },
  });
  const outcome = await client.execute(
    { image: "none", ...request },
    { output: () => undefined, started: () => {}, files: (chunk) => pack.push(chunk), ...io },
    new AbortController().signal,
  );
  pack.end();
  const made = outcome.kind === "exited" ? outcome.build : undefined;
  if (made?.kind !== "files") throw new Error(JSON.stringify(outcome));
  return { cached: made.cached, digests };
}

test("those who wait for a build whose engine is lost go on without it", async () => {
  const left = join(scratch, "left");
  mkdirSync(left);
  writeFileSync(join(left, "out"), "built");
  const engine = deferred<void>();
  const first = deferred<void>();
  let made = 0;
  const executor: Executor = {
    name: "losing",
    isolated: true,
    async open(_, { instead }) {
      const given = await instead?.("image");
      if (given) return given;
      made += 1;
      if (made === 1) {
        first.resolve();
        await engine.promise;
        throw new ExecutorFault("the engine went away", { lost: true });
      }
      return {
        id: `sandbox-${made}`,
        files: { kind: "folder", path: left },
        run: async () => ({ exitCode: 0, outOfMemory: false }),
        kill: () => true,
        dispose: async () => {},
      };
    },
    close: async () => {},
  };
  await using worker = await startTestWorker({ executor, slots: 2, log: () => {} });
  const request = { command: "make", artifacts: ["out"], filesBuild: { scope } };
  const builds = [build(worker.client, request)];
  await first.promise;
  // The second one waits for the first, and the third for a slot: the one that the first is about to lose.
  const waits = deferred<void>();
  const queued = deferred<void>();
  const output = (bytes: Uint8Array) => {
    if (Buffer.from(bytes).toString().startsWith("Waiting for the same build")) waits.resolve();
    return undefined;
  };
  builds.push(build(worker.client, request, { output }));
  await waits.promise;
  builds.push(build(worker.client, request, { queued: () => queued.resolve() }));
  await queued.promise;
  engine.resolve();
  const ended = await Promise.all(builds);
  const digest = createHash("sha256").update("built").digest("hex");
  assert.deepEqual(ended.map(({ cached }) => cached).sort(), [false, true, true]);
  for (const { digests } of ended) assert.deepEqual(digests, { out: digest });
  assert.equal(made, 2);
});

test("killed while it saves what was built, again and again, the worker serves all of it or builds anew", async (t) => {
  const kills = Number(process.env.BETTERTEST_TEST_CACHE_KILLS ?? 4);
  const sourcesDir = join(scratch, "sources");
  const dataDir = join(scratch, "data");
  const root = join(scratch, "root");
  mkdirSync(root);
  writeFileSync(join(root, "code.txt"), "code");
  // Large enough that saving takes a while, and known by its digest.
  const command = "mkdir out; for n in 1 2 3 4; do yes line $n | head -c 12000000 > out/$n; done";
  const digests: Record<string, string> = {};
  for (const n of [1, 2, 3, 4]) {
    const text = `line ${n}\n`;
    const bytes = Buffer.from(text.repeat(Math.ceil(12_000_000 / text.length))).subarray(
      0,
      12_000_000,
    );
    digests[`out/${n}`] = createHash("sha256").update(bytes).digest("hex");
  }
  const caches = join(sourcesDir, "caches");
  let halfway = 0;
  let found = 0;
  for (let kill = 0; kill <= kills; kill++) {
    await using worker = await startWorkerProcess({
      ...{ executor: "process", host: "127.0.0.1", port: 0, sourcesDir, dataDir },
    });
    const client = createWorkerClient(worker.url, { connectTimeoutMs: 2_000 });
    const { hash } = await bring(root, createStatCache(), client);
    const asked = (mode: number) => ({
      command,
      ...{
        env: { MODE: String(mode) },
        source: { tree: hash, key },
        artifacts: ["out/*"],
        filesBuild: { scope },
      },
    });
    if (kill > 0) {
      // Whichever it is, there is all of it; and then it is there.
      const once = await build(client, asked(kill - 1));
      assert.deepEqual(once.digests, digests);
      if (once.cached) found += 1;
      assert.deepEqual(await build(client, asked(kill - 1)), { cached: true, digests });
    }
    if (kill < kills) {
      const building = build(client, asked(kill)).catch(() => null);
      const incoming = join(caches, "incoming");
      const begun = async () => {
        while (readdirSync(incoming).length === 0) await wait(1);
      };
      await Promise.race([begun(), building]);
      // At another place each time.
      await wait((kill * 23) % 90);
      process.kill(worker.pid, "SIGKILL");
      await building;
    }
    client.close();
    if (kill < kills) halfway += readdirSync(join(caches, "incoming")).length;
  }
  const store = new CacheStore({ folder: caches, maxBytes: 2 ** 40, log: () => {} });
  assert.deepEqual(await store.verify(), []);
  t.diagnostic(`${halfway} of ${kills} were killed in mid-save, ${found} had saved`);
  assert.ok(halfway > 0);
});
