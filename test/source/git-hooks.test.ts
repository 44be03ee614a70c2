// A run that a git hook starts tests the working tree as any other does, whatever git has told the hook of its own repo.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { localVariables } from "../../src/source/git-env.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-hooks-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

function git(folder: string, ...args: string[]): string {
  const settings = ["user.name=a", "user.email=a@b", "protocol.file.allow=always"];
  const given = [...settings.flatMap((one) => ["-c", one]), ...args];
  return execFileSync("git", given, { cwd: folder, encoding: "utf8", stdio: "pipe" }).trim();
}

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const scanHere = join(dirname(fileURLToPath(import.meta.url)), "scan-here.js");
const told = join(scratch, "told");

/** What a scan of the folder finds in the hook of the commit that the words make. */
function inHook(root: string, folder: string, ...words: string[]) {
  const hooks = join(scratch, "hooks");
  mkdirSync(hooks, { recursive: true });
  const run = `exec '${process.execPath}' '${scanHere}' '${root}' '${told}'\n`;
  writeFileSync(join(hooks, "pre-commit"), `#!/bin/sh\n${run}`, { mode: 0o755 });
  git(folder, "-c", `core.hooksPath=${hooks}`, ...words);
  return JSON.parse(readFileSync(told, "utf8"));
}

const paths = [".gitignore", ".gitmodules", "code.txt", "new.txt"];
const inSub = ["sub", "sub/.gitignore", "sub/kept.log", "sub/lib.txt", "sub/new.txt"];

/** In the submodule one file is tracked although it is ignored. */
function makeRepos(name: string): string {
  const lib = join(scratch, `${name}-lib`);
  write(lib, { ".gitignore": "*.log\n", "lib.txt": "1", "kept.log": "1" });
  git(scratch, "init", "-q", lib);
  git(lib, "add", "-Af");
  git(lib, "commit", "-qm", "all");
  const root = join(scratch, name);
  write(root, { ".gitignore": "*.env\n", "code.txt": "1" });
  git(scratch, "init", "-q", root);
  git(root, "submodule", "add", "-q", lib, "sub");
  git(root, "add", "-A");
  git(root, "commit", "-qm", "all");
  return root;
}

function edit(root: string): void {
  write(root, { "code.txt": "2", "new.txt": "", "a.env": "" });
  write(root, { "sub/new.txt": "", "sub/a.log": "" });
}

test("a hook's run takes the working tree, with its submodules", () => {
  const root = makeRepos("repo");
  edit(root);
  const commit = git(root, "rev-parse", "HEAD");
  const all = { paths: [...paths, ...inSub], commit };
  git(root, "add", "code.txt");
  assert.deepEqual(inHook(root, root, "commit", "-qm", "more"), all);
  write(root, { "code.txt": "3" });
  const next = git(root, "rev-parse", "HEAD");
  assert.deepEqual(inHook(root, root, "commit", "-qam", "more"), { ...all, commit: next });
});

test("a hook of a linked working tree", () => {
  const main = makeRepos("main");
  const root = join(scratch, "linked");
  git(main, "worktree", "add", "-q", root);
  git(root, "submodule", "update", "-q", "--init");
  edit(root);
  const commit = git(root, "rev-parse", "HEAD");
  const all = { paths: [...paths, ...inSub], commit };
  assert.deepEqual(inHook(root, root, "commit", "-qam", "more"), all);
  const other = inHook(main, root, "commit", "-q", "--allow-empty", "-m", "more");
  const inMain = [...paths, ...inSub].filter((path) => !path.endsWith("new.txt"));
  assert.deepEqual(other, { paths: inMain, commit }, "of the tree beside it");
});

test("a hook of a working tree whose repo only git's own words name", () => {
  const root = join(scratch, "apart");
  const repo = ["--git-dir=../apart.git", "--work-tree=."];
  write(root, { "code.txt": "1", ".gitignore": "*.env\n" });
  git(scratch, "init", "-q", "--bare", "apart.git");
  git(root, ...repo, "add", "-A");
  git(root, ...repo, "commit", "-qm", "all");
  write(root, { "code.txt": "2", "a.env": "" });
  const commit = git(root, ...repo, "rev-parse", "HEAD");
  const found = inHook(root, root, ...repo, "commit", "-qam", "more");
  assert.deepEqual(found, { paths: [".gitignore", "code.txt"], commit });
});

test("what names a repo to git is known", () => {
  // Git leaves these to submodules, too.
  const kept = ["GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"];
  const known = new Set<string>([...localVariables, ...kept]);
  const all = git(scratch, "rev-parse", "--local-env-vars").split("\n");
  assert.deepEqual(
    all.filter((name) => !known.has(name)),
    [],
  );
});
