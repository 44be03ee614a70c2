import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { createStatCache } from "../../src/source/stat-cache.js";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { CacheStore } from "../../src/worker/caches/cache-store.js";
import { digestOf } from "../../src/worker/caches/copy-tree.js";
import { unmountAll } from "../../src/worker/sources/overlay.js";
import { bring, key } from "../rig/source-worker.js";
import { startWorkerProcess } from "../rig/worker.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-caches-"));
after(async () => {
  await unmountAll(scratch);
  rmSync(scratch, { recursive: true, force: true });
});

const never = new AbortController().signal;
let made = 0;

function newFolder(): string {
  made += 1;
  return join(scratch, String(made));
}

function filled(files: number, bytes = 1000): string {
  const folder = newFolder();
  for (let file = 0; file < files; file++) {
    mkdirSync(join(folder, `d${file % 10}`), { recursive: true });
    writeFileSync(join(folder, `d${file % 10}/f${file}`), `${file} `.repeat(bytes / 4));
  }
  return folder;
}

function open(folder: string, maxBytes = 2 ** 30) {
  const lines: string[] = [];
  return { store: new CacheStore({ folder, maxBytes, log: (line) => lines.push(line) }), lines };
}

function items(from: string) {
  return [{ from, at: "source/deps", parents: 0 }];
}

test("what was saved is held by its key, as it was, also by the next worker", async () => {
  const folder = newFolder();
  const deps = filled(20);
  symlinkSync("/nowhere", join(deps, "link"));
  utimesSync(join(deps, "d1/f1"), 1_000, 2_000);
  const { store } = open(folder);
  const saved = await store.save({ group: "g", key: "a" }, items(deps), never);
  assert.ok(saved.ok);
  const twice = await store.save({ group: "g", key: "a" }, items(deps), never);
  assert.deepEqual(twice, { ok: false, reason: "another command has saved it meanwhile" });
  const { store: next } = open(folder);
  assert.equal(await next.hold({ group: "h", key: "a" }, [""]), null);
  const held = await next.hold({ group: "g", key: "b" }, ["x", "a"]);
  assert.equal(held?.key, "a");
  const copy = join(held!.tree, "source/deps");
  assert.equal(digestOf(copy), digestOf(deps));
  assert.equal(lstatSync(join(copy, "d1/f1")).mtimeMs, 2_000_000);
});

test("what has been damaged since is not served, and said", async () => {
  const folder = newFolder();
  const { store } = open(folder);
  await store.save({ group: "g", key: "a" }, items(filled(5)), never);
  const [id = ""] = readdirSync(join(folder, "entries"));
  const file = join(folder, "entries", id, "tree/source/deps/d1/f1");
  const bytes = readFileSync(file);
  bytes[7]! ^= 1;
  const { mtime } = lstatSync(file);
  writeFileSync(file, bytes);
  utimesSync(file, mtime, mtime);
  const { store: next, lines } = open(folder);
  assert.equal(await next.hold({ group: "g", key: "a" }, []), null);
  assert.deepEqual(lines, ["cache a is not what was saved, and is dropped"]);
  assert.equal(next.bytes, 0);
});

test("the least used goes first, nothing that is in use; what is too large is not kept", async () => {
  const folder = newFolder();
  const deps = filled(10);
  const { store } = open(folder, 200_000);
  for (const one of ["a", "b"]) {
    assert.ok((await store.save({ group: "g", key: one }, items(deps), never)).ok);
  }
  await store.hold({ group: "g", key: "a" }, []);
  assert.ok((await store.save({ group: "g", key: "c" }, items(deps), never)).ok);
  assert.ok(store.has({ group: "g", key: "a" }));
  assert.ok(!store.has({ group: "g", key: "b" }));
  assert.ok(store.bytes <= 200_000);
  const large = await store.save({ group: "g", key: "d" }, items(filled(50)), never);
  assert.ok(!large.ok && large.reason.startsWith("it is larger than --max-caches allows"));
  assert.deepEqual(await store.verify(), []);
});

test("killed in mid-save again and again, the worker serves whole caches or none", async (t) => {
  const kills = Number(process.env.BETTERTEST_TEST_CACHE_KILLS ?? 4);
  const sourcesDir = newFolder();
  const dataDir = newFolder();
  const root = newFolder();
  mkdirSync(root);
  writeFileSync(join(root, "code.txt"), "code");
  const deps = filled(800);
  const digest = digestOf(deps);
  const caches = join(sourcesDir, "caches");
  let halfway = 0;
  for (let kill = 0; kill <= kills; kill++) {
    await using worker = await startWorkerProcess({
      executor: "process",
      host: "127.0.0.1",
      port: 0,
      sourcesDir,
      dataDir,
    });
    const client = createWorkerClient(worker.url, { connectTimeoutMs: 2_000 });
    const { hash } = await bring(root, createStatCache(), client);
    const command = (text: string, cacheKey: string) =>
      client.execute(
        {
          image: "none",
          command: text,
          source: { tree: hash, key },
          cache: {
            scope: "0123456789abcdef-scope",
            caches: [{ key: cacheKey, restoreKeys: ["k"], paths: ["deps"] }],
          },
        },
        { output: () => undefined, started: () => {} },
        never,
      );
    // What a command before this one has left is whole: all of it, or nothing is there.
    const looked = newFolder();
    const look = await command(
      `if test -e deps; then cp -a deps ${looked}; exit 1; fi; exit 2`,
      "k",
    );
    assert.equal(look.kind, "exited");
    if (existsSync(looked)) assert.equal(digestOf(looked), digest);
    if (kill < kills) {
      const saving = command(`rm -rf deps; cp -a ${deps} deps`, `k${kill}`);
      // At another place each time.
      const incoming = join(caches, "incoming");
      const begun = async () => {
        while (readdirSync(incoming).length === 0) await wait(2);
      };
      await Promise.race([begun(), saving]);
      await wait((kill * 41) % 200);
      process.kill(worker.pid, "SIGKILL");
      await saving.catch(() => {});
    }
    client.close();
    if (kill === kills) continue;
    halfway += readdirSync(join(caches, "incoming")).length;
    // As the next worker sees it.
    const copy = newFolder();
    cpSync(caches, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    assert.deepEqual(await open(copy).store.verify(), []);
    rmSync(copy, { recursive: true });
  }
  t.diagnostic(`${halfway} of ${kills} were killed in mid-save`);
  assert.ok(halfway > 0);
});
