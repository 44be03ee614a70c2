// The worker's store of sources: what it keeps is true, whatever happens, and each sees only what is its own.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { outgoing } from "../../../src/boss/run/outgoing-files.js";
import { hashOf, type Manifest } from "../../../src/source/manifest.js";
import { scan } from "../../../src/source/scan.js";
import { createStatCache } from "../../../src/source/stat-cache.js";
import { createWorkerClient } from "../../../src/wire/worker-client.js";
import { mountsBelow } from "../../../src/worker/sources/overlay.js";
import { SourceStore } from "../../../src/worker/sources/store.js";
import { startProxy } from "../../rig/proxy.js";
import { bring, by, key, startSourceWorker } from "../../rig/source-worker.js";
import { eventually, startWorkerProcess } from "../../rig/worker.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-store-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
let made = 0;

/** Each file has a content of its own. */
function folderOf(files: number, bytes = 100): string {
  const root = join(scratch, `tree-${++made}`);
  for (let file = 0; file < files; file++) {
    mkdirSync(join(root, `d${file % 7}`), { recursive: true });
    writeFileSync(join(root, `d${file % 7}/f${file}`), `${made} ${file} `.padEnd(bytes, "x"));
  }
  return root;
}

test("only what has changed travels, and many changes later the tree is still right", async () => {
  await using worker = await startSourceWorker();
  const cache = createStatCache();
  const root = folderOf(200, 5_000);
  const first = await bring(root, cache, worker.client);
  assert.ok(first.bytesSent > 1_000_000);
  const again = await bring(root, cache, worker.client);
  assert.ok(again.bytesSent < 100, String(again.bytesSent));
  for (let edit = 0; edit < 20; edit++) {
    appendFileSync(join(root, "d1/f1"), `${edit}\n`);
    const { hash, bytesSent } = await bring(root, cache, worker.client);
    assert.ok(bytesSent < 6_000, String(bytesSent));
    const place = await worker.store.place();
    await place.fill({ tree: hash, key });
    assert.equal(
      readFileSync(join(place.path, "d1/f1"), "utf8"),
      readFileSync(join(root, "d1/f1"), "utf8"),
    );
    assert.equal(readdirSync(join(place.path, "d2")).length, readdirSync(join(root, "d2")).length);
    await place.release();
  }
});

test("a tree that is made while the one below it becomes a single layer keeps the layers it was begun on", async () => {
  await using worker = await startSourceWorker();
  const { store } = worker;
  // Links need no contents, so each offer is a tree at once.
  const links = (count: number, at: string): Manifest =>
    Array.from({ length: count }, (_, n) => ({
      kind: "link",
      path: `${at}-${String(n).padStart(4, "0")}`,
      target: at,
    }));
  for (const size of [10, 100]) {
    let tree: Manifest = [];
    let base: string | null = null;
    // As many layers as make one of them all, aside; and one more tree right then.
    for (const [edit, changed] of [size, ...Array(15).fill(1), 300].entries()) {
      const set = links(changed, String(edit).padStart(2, "0"));
      tree = [...tree, ...set];
      const hash = hashOf(tree);
      const { status } = await store.offer(
        { tree: hash, key },
        { base, changes: { removed: [], set } },
      );
      assert.equal(status, "ready");
      base = hash;
    }
    const place = await store.place();
    await place.fill({ tree: base!, key });
    assert.equal(readdirSync(place.path).length, tree.length);
    await place.release();
  }
});

test("each change is seen as it is, whether it hides something or not", async () => {
  await using worker = await startSourceWorker();
  const cache = createStatCache();
  const root = folderOf(20);
  const at = (path: string) => join(root, path);
  chmodSync(at("d1"), 0o750);
  const edits = [
    () => appendFileSync(at("d1/f1"), "more"),
    () => chmodSync(at("d1"), 0o711),
    () => {
      mkdirSync(at("d1/new/deep"), { recursive: true });
      writeFileSync(at("d1/new/deep/file"), "new", { mode: 0o755 });
    },
    () => {
      rmSync(at("d1/f1"));
      symlinkSync("f8", at("d1/f1"));
    },
    () => {
      rmSync(at("d1/f8"));
      mkdirSync(at("d1/f8"));
      writeFileSync(at("d1/f8/below"), "below");
    },
    () => {
      rmSync(at("d2"), { recursive: true });
      writeFileSync(at("d2"), "a file");
    },
    () => {
      rmSync(at("d2"));
      mkdirSync(at("d2"));
      writeFileSync(at("d2/alone"), "in a folder that was there before");
    },
    () => rmSync(at("d4"), { recursive: true }),
    () => {
      mkdirSync(at("d4"));
      writeFileSync(at("d4/alone"), "where there was nothing any more");
    },
    () => rmSync(at("d3/f3")),
    () => writeFileSync(at("d3/f3"), "again"),
  ];
  await bring(root, cache, worker.client);
  for (const [index, edit] of edits.entries()) {
    edit();
    const { hash } = await bring(root, cache, worker.client);
    for (const owner of process.getuid?.() === 0 ? [null, { uid: 1234, gid: 56 }] : [null]) {
      const place = await worker.store.place();
      await place.fill({ tree: hash, key }, [], owner);
      const seen = await scan(place.path, createStatCache(), { git: false });
      assert.equal(seen.hash, hash, `after edit ${index}`);
      await place.release();
    }
  }
});

test("equal files are two files, in one layer and in layers over each other", async () => {
  await using worker = await startSourceWorker();
  const cache = createStatCache();
  const root = folderOf(1);
  const names = ["expected.txt", "actual.txt", "empty", "also-empty"];
  for (const name of names) writeFileSync(join(root, name), name.includes("empty") ? "" : "same");
  // So many that all layers become one.
  for (let edit = 0; edit < 18; edit++) {
    const { hash } = await bring(root, cache, worker.client);
    const place = await worker.store.place();
    await place.fill({ tree: hash, key });
    const inodes = names.map((name) => statSync(join(place.path, name)).ino);
    assert.equal(new Set(inodes).size, names.length, `after edit ${edit}`);
    cpSync(join(place.path, "expected.txt"), join(place.path, "actual.txt"));
    await place.release();
    names.push(`more-${edit}`);
    writeFileSync(join(root, `more-${edit}`), "same");
  }
});

test("a place may be seen before it is known what it will show", async () => {
  await using worker = await startSourceWorker();
  const { hash } = await bring(folderOf(3), createStatCache(), worker.client);
  const place = await worker.store.place();
  assert.deepEqual(readdirSync(place.path), []);
  await place.fill({ tree: hash, key });
  assert.deepEqual(readdirSync(place.path), ["d0", "d1", "d2"]);
  await place.release();
  assert.ok(!existsSync(place.path));
});

test("nobody names a tree by its hash alone", async () => {
  await using worker = await startSourceWorker();
  const { hash, manifest } = await bring(folderOf(3), createStatCache(), worker.client);
  const other = { ...by, key: "fedcba9876543210-other" };
  const tree = { hash, manifest: null, since: null, read: () => [] };
  await assert.rejects(worker.client.sendTree(tree, other), /has no source tree/);
  await assert.rejects(worker.client.readTree(hash, other), /no such tree/);
  const place = await worker.store.place();
  await assert.rejects(place.fill({ tree: hash, key: other.key }), /has no source tree/);
  await place.release();
  // Whoever can tell all that is in it need not send it again.
  const told = await worker.client.sendTree({ ...tree, manifest }, other);
  assert.ok(told.bytesSent < 1_000);
});

test("what is not what it is said to be is not kept", async () => {
  await using worker = await startSourceWorker();
  const hash = createHash("sha256").update("right").digest("hex");
  const manifest: Manifest = [{ kind: "file", path: "f", mode: 0o644, size: 5, hash }];
  const lie = { hash: hashOf(manifest), manifest, since: null, read: () => [Buffer.from("wrong")] };
  await assert.rejects(worker.client.sendTree(lie, by), /are others/);
  assert.equal(worker.store.bytes, 0);
  for (const path of ["../out", "/abs", "a/../b", "a//b", "x/y"]) {
    const bad: Manifest = [{ kind: "file", path, mode: 0o644, size: 5, hash }];
    const tree = {
      hash: hashOf(bad),
      manifest: bad,
      since: null,
      read: () => [Buffer.from("right")],
    };
    await assert.rejects(worker.client.sendTree(tree, by), /no path|not below a folder/, path);
  }
  const through: Manifest = [
    { kind: "link", path: "a", target: "/etc" },
    { kind: "file", path: "a/passwd", mode: 0o644, size: 5, hash },
  ];
  const tree = { ...lie, hash: hashOf(through), manifest: through };
  await assert.rejects(worker.client.sendTree(tree, by), /not below a folder/);
});

test("a file that changes before it has travelled is said to have", async () => {
  await using worker = await startSourceWorker();
  const root = folderOf(3);
  const found = await scan(root, createStatCache());
  writeFileSync(join(root, "d1/f1"), "other");
  await assert.rejects(worker.client.sendTree(outgoing(root, found), by), /d1\/f1 was changed/);
});

test("one changed file is one question and one answer, also for a boss that was started anew", async () => {
  await using worker = await startSourceWorker();
  using proxy = await startProxy(() => worker.url);
  const root = folderOf(300);
  const folder = join(scratch, "cache");
  let turns = 0;
  let isAnswer = true;
  proxy.onRequest = () => {
    isAnswer = false;
  };
  proxy.onAnswer = () => {
    if (!isAnswer) turns += 1;
    isAnswer = true;
  };
  const sync = async () => {
    turns = 0;
    const client = createWorkerClient(proxy.url);
    const cache = createStatCache(folder);
    await bring(root, cache, client);
    client.close();
    await cache.saved();
    return turns;
  };
  assert.equal(await sync(), 2);
  appendFileSync(join(root, "d1/f1"), "more");
  rmSync(join(root, "d2/f2"));
  assert.equal(await sync(), 1);
  assert.equal(await sync(), 1);
});

test("a stream that is cut goes on where it was", async () => {
  await using worker = await startSourceWorker();
  using proxy = await startProxy(() => worker.url);
  const client = createWorkerClient(proxy.url);
  const root = folderOf(400, 240_000);
  let sent = 0;
  let cuts = 0;
  proxy.onRequest = (chunk) => {
    sent += chunk.length;
    if (sent < (cuts + 1) * 28_000_000 || cuts === 3) return;
    cuts += 1;
    proxy.drop();
  };
  const { hash } = await bring(root, createStatCache(), client);
  client.close();
  assert.equal(cuts, 3);
  assert.ok(worker.store.knows({ tree: hash, key }));
  // What was on its way at a cut is sent again, and no more; from the start each time it were 180 million.
  assert.ok(sent < 155_000_000, String(sent));
});

test("the least used goes first, and nothing that is in use", async () => {
  const folder = join(scratch, "small");
  const maxBytes = 100_000;
  const hashes: string[] = [];
  {
    await using worker = await startSourceWorker({ folder, maxBytes });
    for (let tree = 0; tree < 2; tree++) {
      hashes.push((await bring(folderOf(4, 10_000), createStatCache(), worker.client)).hash);
    }
    await assert.rejects(
      bring(folderOf(4, 10_000), createStatCache(), worker.client),
      /full of what is in use/,
    );
  }
  age(folder, hashes);
  await using worker = await startSourceWorker({ folder, maxBytes });
  const used = await worker.store.place();
  await used.fill({ tree: hashes[0]!, key });
  await bring(folderOf(4, 10_000), createStatCache(), worker.client);
  assert.deepEqual(
    hashes.map((tree) => worker.store.knows({ tree, key })),
    [true, false],
  );
  assert.ok(worker.store.bytes <= maxBytes);
  assert.deepEqual(await worker.store.verify(), []);
  await used.release();
});

/** As if nobody had named them for an hour, the first one for the longest. */
function age(folder: string, hashes: readonly string[]): void {
  for (const [index, hash] of hashes.entries()) {
    utimesSync(join(folder, "trees", hash), 0, Date.now() / 1000 - 3600 + index);
  }
}

test("a tree whose list cannot be read is forgotten when there must be room, not taken for an empty one", async () => {
  const folder = join(scratch, "unreadable");
  const maxBytes = 100_000;
  let hash: string;
  {
    await using worker = await startSourceWorker({ folder, maxBytes });
    hash = (await bring(folderOf(1, 60_000), createStatCache(), worker.client)).hash;
  }
  const record = join(folder, "trees", hash);
  truncateSync(record, readFileSync(record).indexOf("\n") + 5);
  await using worker = await startSourceWorker({ folder, maxBytes });
  assert.ok(worker.store.knows({ tree: hash, key }));
  await bring(folderOf(1, 60_000), createStatCache(), worker.client);
  assert.ok(!worker.store.knows({ tree: hash, key }));
  assert.equal(readdirSync(join(folder, "trees")).includes(hash), false);
});

/** A file that the store keeps, as one who repairs a disk might take it. */
function blobOf(folder: string, text: string): string {
  const hash = createHash("sha256").update(text).digest("hex");
  const fan = join(folder, "blobs", hash.slice(0, 2));
  return join(fan, readdirSync(fan).find((name) => name.startsWith(hash.slice(2)))!);
}

/** A store whose worker was killed, in which one content has lost its end, as by a machine that lost power. */
async function cutStore(copy: boolean) {
  const folder = join(scratch, `cut-${made}-${copy}`);
  const root = folderOf(20, 5_000);
  const cache = createStatCache();
  await using worker = await startWorkerProcess({
    executor: "process",
    host: "127.0.0.1",
    port: 0,
    sourcesDir: folder,
    dataDir: join(scratch, "cut-data"),
    copySources: copy,
  });
  const client = createWorkerClient(worker.url);
  await bring(root, cache, client);
  writeFileSync(join(root, "more"), "more".padEnd(5_000));
  const { hash } = await bring(root, cache, client);
  client.close();
  await eventually(() => existsSync(join(folder, "trees", hash)));
  await worker.kill();
  const text = readFileSync(join(root, "d1/f1"), "utf8");
  truncateSync(blobOf(folder, text), 3);
  return { folder, root, hash, lost: createHash("sha256").update(text).digest("hex") };
}

for (const copy of [false, true]) {
  const how = copy ? "copied" : "as overlay";

  test(`two trees that need room at a time: what one of them rests on stays, ${how}`, async () => {
    const folder = join(scratch, `room-${copy}`);
    const maxBytes = 100_000;
    const [oldest, shared] = [folderOf(1, 40_000), folderOf(1, 40_000)];
    const hashes: string[] = [];
    {
      await using worker = await startSourceWorker({ folder, copy, maxBytes });
      for (const root of [oldest, shared])
        hashes.push((await bring(root, createStatCache(), worker.client)).hash);
    }
    age(folder, hashes);
    await using worker = await startSourceWorker({ folder, copy, maxBytes });
    const { store } = worker;
    // One changes little of a tree that is here; the other one wants so much that this tree may have to go.
    writeFileSync(join(shared, "more"), "more".padEnd(30_000));
    const one = await scan(shared, createStatCache(), { git: false });
    const file = one.manifest.filter(({ path }) => path === "more");
    const root = folderOf(1, 70_000);
    const other = await scan(root, createStatCache(), { git: false });
    const [, refused] = await Promise.allSettled([
      store.offer(
        { tree: one.hash, key },
        { base: hashes[1]!, changes: { removed: [], set: file } },
      ),
      store.add({ tree: other.hash, key }, other.manifest, root),
    ]);
    assert.equal(refused.status, "rejected");
    assert.match(String(refused.reason), /full of what is in use/);
    await store.add({ tree: one.hash, key }, one.manifest, shared);
    const place = await store.place();
    await place.fill({ tree: one.hash, key });
    assert.equal((await scan(place.path, createStatCache(), { git: false })).hash, one.hash);
    await place.release();
  });

  test(`a file of the source is told from one that a command has written, ${how}`, async () => {
    const folder = join(scratch, `origin-${copy}`);
    await using worker = await startSourceWorker({ folder, copy });
    const root = folderOf(8);
    const { hash } = await bring(root, createStatCache(), worker.client);
    const place = await worker.store.place();
    await place.fill({ tree: hash, key });
    const at = (path: string) => join(place.path, path);
    const origin = (path: string) => place.originOf(path, statSync(at(path)).mtimeMs);
    const bytes = readFileSync(at("d1/f1"));
    const sourceIfHash = createHash("sha256").update(bytes).digest("hex");
    assert.equal(place.hashOf("d1/f1"), sourceIfHash);
    assert.equal(place.hashOf("d1"), null);
    assert.deepEqual(await origin("d1/f1"), copy ? { sourceIfHash } : "source");
    symlinkSync("d1", at("through"));
    writeFileSync(at("d1/new"), "new");
    assert.equal(await origin("through/new"), "command");
    assert.equal(await origin("d1/new"), "command");
    writeFileSync(at("d1/f1"), bytes);
    // So that nobody need wait until its time tells it.
    const later = Date.now() / 1_000 + 5;
    if (copy) utimesSync(at("d1/f1"), later, later);
    assert.equal(await origin("d1/f1"), "command");
    await place.release();
  });

  test(`after the machine went down nothing is believed that is not verified, ${how}`, async () => {
    const { folder, root, hash } = await cutStore(copy);
    writeFileSync(join(folder, "boot"), "of-another-boot");
    // The upper one of two layers holds copies, which may be cut as well.
    for (const layer of readdirSync(join(folder, "layers"))) {
      const path = join(folder, "layers", layer, "more");
      if (existsSync(path)) truncateSync(path, 3);
    }
    await using worker = await startSourceWorker({ folder, copy });
    assert.deepEqual(await worker.store.verify(), []);
    assert.ok(!worker.store.knows({ tree: hash, key }));
    const { bytesSent } = await bring(root, createStatCache(), worker.client);
    assert.ok(bytesSent > 5_000 && bytesSent < 12_000, String(bytesSent));
    const place = await worker.store.place();
    await place.fill({ tree: hash, key });
    assert.equal((await scan(place.path, createStatCache(), { git: false })).hash, hash);
    await place.release();
  });

  test(`where only the worker was killed its store is not read at the start, ${how}`, async () => {
    const { folder, hash, lost } = await cutStore(copy);
    {
      await using worker = await startSourceWorker({ folder, copy });
      assert.ok(worker.store.knows({ tree: hash, key }));
      assert.deepEqual(await worker.store.verify(), [lost]);
    }
    // Closed, it has nothing to fear from what comes.
    assert.ok(!existsSync(join(folder, "boot")));
  });

  test(`a content that is gone is asked for when a tree with it is offered, ${how}`, async () => {
    await using worker = await startSourceWorker({ copy });
    const root = folderOf(3);
    const cache = createStatCache();
    const text = readFileSync(join(root, "d1/f1"), "utf8");
    const lose = () => rmSync(blobOf(worker.folder, text));
    const isSeen = async (hash: string) => {
      const place = await worker.store.place();
      await place.fill({ tree: hash, key });
      const seen = await scan(place.path, createStatCache(), { git: false });
      await place.release();
      assert.equal(seen.hash, hash);
    };
    const first = await bring(root, cache, worker.client);
    lose();
    // On the tree that has lost it, and as a whole, by one who knows no other tree.
    for (const known of [cache, createStatCache()]) {
      cpSync(join(root, "d1/f1"), join(root, `d1/again-${known === cache}`));
      // Where nothing was to be made of it, nobody has looked.
      const { hash } = await bring(root, known, worker.client);
      if (copy) await assert.rejects(isSeen(hash), /not in the store/);
      const { bytesSent } = await bring(root, createStatCache(), worker.client);
      if (copy) assert.ok(bytesSent > text.length, String(bytesSent));
      await isSeen(hash);
      lose();
    }
    // A tree that was made before that is offered again.
    for (const name of ["again-true", "again-false"]) rmSync(join(root, "d1", name));
    if (copy) await assert.rejects(isSeen(first.hash), /not in the store/);
    await bring(root, createStatCache(), worker.client);
    await isSeen(first.hash);
  });
}

test("two workers with one folder: the second has a store of its own", async () => {
  await using first = await startSourceWorker();
  await using second = await startSourceWorker({ folder: first.folder });
  const { hash } = await bring(folderOf(2), createStatCache(), second.client);
  assert.ok(second.store.knows({ tree: hash, key }));
  assert.ok(!first.store.knows({ tree: hash, key }));
});

test("killed in mid-sync again and again, the store holds only what is true, and the rest follows", async () => {
  const sourcesDir = join(scratch, "killed");
  const dataDir = join(scratch, "killed-data");
  const root = folderOf(1_500, 20_000);
  const cache = createStatCache();
  const kills = process.env.CI ? 50 : 8;
  let found = await scan(root, cache);
  for (let kill = 0; kill < kills; kill++) {
    await using worker = await startWorkerProcess({
      executor: "process",
      host: "127.0.0.1",
      port: 0,
      sourcesDir,
      dataDir,
    });
    const client = createWorkerClient(worker.url, { connectTimeoutMs: 2_000 });
    appendFileSync(join(root, `d${kill % 7}/f${kill}`), "more");
    found = await scan(root, cache);
    // At some place of the stream, another one each time.
    let left = Math.floor((found.manifest.length * kill) / kills);
    const tree = outgoing(root, found);
    const slow = {
      ...tree,
      read: (entry: Parameters<typeof tree.read>[0]) => {
        left -= 1;
        if (left === 0) process.kill(worker.pid, "SIGKILL");
        return tree.read(entry);
      },
    };
    await client.sendTree(slow, by).catch(() => {});
    await worker.kill();
    client.close();
    const store = await SourceStore.open({ folder: sourcesDir, maxBytes: 2 ** 30, log: () => {} });
    assert.ok(store);
    assert.deepEqual(await store.verify(), []);
    await store.close();
  }
  await using worker = await startSourceWorker({ folder: sourcesDir });
  await worker.client.sendTree(outgoing(root, found), by);
  const place = await worker.store.place();
  await place.fill({ tree: found.hash, key });
  const seen = await scan(place.path, createStatCache(), { git: false });
  assert.equal(seen.hash, found.hash);
  await place.release();
  assert.deepEqual(await mountsBelow(dataDir), []);
});
