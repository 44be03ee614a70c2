// Submodules and repos inside of the repo: whatever state they are in, their files are there, and nothing that is ignored.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { inFolder } from "../../src/source/git-env.js";
import { ignoredByGit } from "../../src/source/git-ignored.js";
import { gitStatus } from "../../src/source/git-list.js";
import { scan } from "../../src/source/scan.js";
import { createStatCache } from "../../src/source/stat-cache.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-inner-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

function git(folder: string, ...args: string[]): string {
  const settings = ["user.name=a", "user.email=a@b", "protocol.file.allow=always"];
  const given = [...settings.flatMap((one) => ["-c", one]), ...args];
  return execFileSync("git", given, { cwd: folder, encoding: "utf8", stdio: "pipe" });
}

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

function makeRepo(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(scratch, name);
  write(root, files);
  git(root, "init", "-q", "-b", "main");
  git(root, "add", "-A");
  git(root, "commit", "-qm", "all");
  return root;
}

/** With a submodule, and beside what is tracked something new and something ignored in each. */
function withSubmodule(name: string): string {
  const lib = makeRepo(`${name}-lib`, { ".gitignore": "*.env\n", "lib.txt": "1" });
  const root = makeRepo(name, { ".gitignore": "*.log\n", "code.txt": "1" });
  git(root, "submodule", "add", "-q", lib, "sub");
  git(root, "commit", "-qm", "sub");
  write(root, { "a.log": "", "sub/a.log": "", "sub/a.env": "", "sub/new.txt": "" });
  return root;
}

const withoutLog = [
  ".gitignore",
  ".gitmodules",
  "code.txt",
  "sub",
  "sub/.gitignore",
  "sub/lib.txt",
  "sub/new.txt",
];
const all = [...withoutLog.slice(0, 5), "sub/a.log", ...withoutLog.slice(5)];

async function found(root: string) {
  const { manifest, commit, dirty } = await scan(root, createStatCache());
  return { paths: manifest.map(({ path }) => path), commit, dirty };
}

test("a submodule is listed by its own repo, and by the one around it where it has none", async () => {
  const root = withSubmodule("states");
  const commit = git(root, "rev-parse", "HEAD").trim();
  assert.deepEqual(await found(root), { paths: all, commit, dirty: true });

  renameSync(join(root, ".git/modules/sub"), join(scratch, "away"));
  const byOuter = { paths: withoutLog, commit, dirty: true };
  assert.deepEqual(await found(root), byOuter, "its git folder is gone");
  rmSync(join(root, "sub/.git"));
  assert.deepEqual(await found(root), byOuter, "it has no .git");
  mkdirSync(join(root, "sub/.git"));
  assert.deepEqual(await found(root), byOuter, "its .git is empty");
  write(root, { "sub/deep/file.txt": "" });
  git(join(root, "sub/deep"), "init", "-q");
  assert.deepEqual(
    (await found(root)).paths,
    [...withoutLog.slice(0, 5), "sub/deep", "sub/deep/file.txt", ...withoutLog.slice(5)],
    "it holds another repo",
  );

  rmSync(join(root, "sub"), { recursive: true });
  mkdirSync(join(root, "sub"));
  const { paths, dirty } = await found(root);
  assert.deepEqual(paths, [...withoutLog.slice(0, 3), "sub"], "it was never fetched");
  assert.equal(dirty, false);
});

test("a tree differs from its commit where a submodule does", async () => {
  const root = withSubmodule("dirty");
  const dirty = async () => (await found(root)).dirty;
  rmSync(join(root, "sub/new.txt"));
  rmSync(join(root, "sub/a.log"));
  assert.equal(await dirty(), false);
  write(root, { "sub/lib.txt": "2" });
  assert.equal(await dirty(), true);
  git(join(root, "sub"), "commit", "-qam", "more");
  assert.equal(await dirty(), true);
  git(root, "commit", "-qam", "more");
  assert.equal(await dirty(), false);
});

test("a working tree whose repo is gone is not taken for a folder without one", async () => {
  const root = withSubmodule("gone");
  rmSync(join(root, ".git/modules/sub"), { recursive: true });
  await assert.rejects(found(join(root, "sub")), ({ message }: Error) => {
    assert.match(message, /gone\/sub: .*not a git repository: .*modules\/sub/);
    assert.match(message, /remove .*\.git/);
    return true;
  });
});

test("a repo whose path is no UTF-8", { skip: process.platform !== "linux" }, async () => {
  const root = makeRepo("bytes", { "code.txt": "1" });
  const inner = Buffer.from(`${root}/caf\xe9`, "latin1");
  const made = makeRepo("bytes-inner", { ".gitignore": "*.env\n", "lib.txt": "1" });
  write(made, { "new.txt": "", "a.env": "" });
  renameSync(made, inner);
  const paths = ["", "/.gitignore", "/lib.txt", "/new.txt"].map((below) => `caf\xe9${below}`);
  assert.deepEqual((await found(root)).paths, [...paths, "code.txt"]);

  const ignored = await inFolder(inner, (folder) => ignoredByGit(folder, ["a.env", "lib.txt"]));
  assert.deepEqual(ignored, new Set(["a.env"]));
});

test("a folder that is gone is not taken for a machine without git", async () => {
  await assert.rejects(gitStatus(join(scratch, "nowhere")), /nowhere/);
});
