// What wakes whoever watches a working tree, on real files and with the real git.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { scan } from "../../src/source/scan.js";
import { createStatCache } from "../../src/source/stat-cache.js";
import { TreeWatch } from "../../src/source/tree-watch.js";

async function watched() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "bettertest-watched-")));
  const cache = createStatCache();
  const troubles: string[] = [];
  const tree = new TreeWatch(folder, { onTrouble: (message) => troubles.push(message) });
  const stop = new AbortController();
  // A watch alone keeps no program alive.
  const alive = setInterval(() => {}, 60_000);
  const changes = tree.changes(stop.signal);
  const look = async () => {
    const found = await scan(folder, cache);
    await tree.know(found.manifest, { hasGit: found.dirty !== null, beside: [] });
    return found.hash;
  };
  return {
    folder,
    troubles,
    look,
    write(path: string, text: string) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    },
    git: (...args: readonly string[]) =>
      execFileSync("git", ["-c", "user.name=n", "-c", "user.email=e@x", ...args], {
        cwd: folder,
        stdio: "pipe",
      }),
    /** The next time that something has changed. */
    heard: () => changes.next(),
    [Symbol.dispose]() {
      stop.abort();
      clearInterval(alive);
      tree.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const limitFile = "/proc/sys/user/max_inotify_watches";
const namespace = ["--user", "--map-root-user"];

function mayLimit(): boolean {
  const { status } = spawnSync("unshare", [...namespace, "test", "-w", limitFile]);
  return status === 0;
}

suite("a watched tree", () => {
  test("a checkout of a thousand files is over when it is told", async () => {
    using tree = await watched();
    tree.git("init", "-q", "-b", "one");
    for (let at = 0; at < 1_000; at++) tree.write(`folder-${at % 100}/file-${at}`, `one ${at}`);
    tree.git("add", "-A");
    tree.git("commit", "-qm", "one");
    const one = await tree.look();
    tree.git("checkout", "-qb", "two");
    for (let at = 0; at < 1_000; at++) tree.write(`folder-${at % 100}/file-${at}`, `two ${at}`);
    tree.git("commit", "-qam", "two");
    await tree.heard();
    const two = await tree.look();
    assert.notEqual(one, two);
    // Twice, since folders that are new to the first look are told of once.
    await tree.heard();
    assert.equal(await tree.look(), two);

    const checkout = spawn("git", ["checkout", "-q", "one"], { cwd: tree.folder });
    await tree.heard();
    assert.equal(existsSync(join(tree.folder, ".git/index.lock")), false);
    assert.equal(await tree.look(), one);
    if (checkout.exitCode === null) await new Promise((resolve) => checkout.on("close", resolve));
  });

  test("a submodule, and a repo inside, by their own ignore files", async () => {
    using tree = await watched();
    tree.git("init", "-q");
    tree.write("inner/kept", "1");
    tree.write("inner/.gitignore", "*.tmp\n");
    execFileSync("git", ["init", "-q"], { cwd: join(tree.folder, "inner") });
    const before = await tree.look();
    await tree.heard();
    tree.write("inner/some.tmp", "1");
    tree.write("inner/kept", "2");
    await tree.heard();
    assert.notEqual(await tree.look(), before);
  });

  test("a checkout that brings a file where a folder was is heard", async () => {
    using tree = await watched();
    tree.git("init", "-q", "-b", "folder");
    for (let at = 0; at < 20; at++) tree.write(`d/d-${at}/d`, "1");
    tree.git("add", "-A");
    tree.git("commit", "-qm", "folder");
    tree.git("checkout", "-qb", "file");
    tree.git("rm", "-rq", "d");
    tree.write("d", "2");
    tree.git("add", "-A");
    tree.git("commit", "-qm", "file");
    tree.git("checkout", "-q", "folder");
    const before = await tree.look();
    await tree.heard();
    tree.git("checkout", "-q", "file");
    await tree.heard();
    assert.notEqual(await tree.look(), before);
  });

  test("an ignore file of any words is heard", async () => {
    using tree = await watched();
    tree.write("xz", "1");
    const before = await tree.look();
    await tree.heard();
    tree.write(".bettertestignore", "x[z-a]\n");
    await tree.heard();
    assert.notEqual(await tree.look(), before);
  });

  test("something that is written all the time hides nothing for long", async () => {
    using tree = await watched();
    tree.write("log", "");
    await tree.look();
    await tree.heard();
    const timer = setInterval(() => tree.write("log", String(performance.now())), 5);
    try {
      await tree.heard();
    } finally {
      clearInterval(timer);
    }
  });

  test("a lock that a killed git has left hides nothing for long", async () => {
    using tree = await watched();
    tree.git("init", "-q");
    tree.write("file", "1");
    await tree.look();
    await tree.heard();
    tree.write(".git/index.lock", "");
    tree.write("file", "2");
    await tree.heard();
  });

  test("where the system allows too few watches it says so", { skip: !mayLimit() }, async () => {
    const self = fileURLToPath(import.meta.url);
    const script = `echo 5 > ${limitFile} && exec "$0" "$1"`;
    const { stdout, stderr } = spawnSync(
      "unshare",
      [...namespace, "sh", "-c", script, process.execPath, join(dirname(self), "limited-watch.js")],
      { encoding: "utf8" },
    );
    assert.match(
      stdout,
      /^the system lets no more folders be watched \(fs\.inotify\.max_user_watches .*\): changes in \d folders are noticed, in the others not\. More: sudo sysctl/,
      stderr,
    );
  });
});
