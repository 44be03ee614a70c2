// Submodules of a commit that a worker fetches by itself: real git, and servers that want to know who asks.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { submoduleUrl } from "../../../src/worker/sources/submodules.js";
import { startGitServer } from "../../rig/git-server.js";
import { by, key, type SourceWorker, startSourceWorker } from "../../rig/source-worker.js";

const credentials = { username: "me", password: "s3cret-token" };
const asked = `Basic ${Buffer.from("me:s3cret-token").toString("base64")}`;

const modules = (urls: Readonly<Record<string, string>>, more = "") =>
  Object.entries(urls)
    .map(([path, url]) => `[submodule "of ${path}"]\n\tpath = ${path}\n\turl = ${url}\n${more}`)
    .join("");

/** The files of a tree, with their texts. */
async function filesOf(worker: SourceWorker, tree: string): Promise<Record<string, string>> {
  const place = await worker.store.place();
  try {
    await place.fill({ tree, key });
    const entries = readdirSync(place.path, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return Object.fromEntries(
      files
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
        .sort()
        .map((path) => [path.slice(place.path.length + 1), readFileSync(path, "utf8")]),
    );
  } finally {
    await place.release();
  }
}

test("submodules, and theirs, are there in the commits that were recorded", async () => {
  await using worker = await startSourceWorker();
  await using server = await startGitServer();
  const leaf = server.commit("libs/leaf", { "leaf.txt": "recorded" });
  server.commit("libs/leaf", { "leaf.txt": "later" });
  const middle = server.commit(
    "group/middle",
    { "middle.txt": "m", ".gitmodules": modules({ "deep/leaf": "../../libs/leaf.git/" }) },
    { "deep/leaf": leaf },
  );
  const urls = { "vendor/a b": "./../middle.git", same: `${server.url}/libs/leaf.git` };
  const commit = server.commit(
    "group/code",
    { "code.txt": "c", ".gitmodules": modules(urls) },
    { "vendor/a b": middle, same: leaf },
  );
  const url = `${server.url}/group/code.git`;
  const fetched = await worker.client.fetchGit({ url, ref: "main" }, by);
  assert.equal(fetched.commit, commit);
  assert.deepEqual(await filesOf(worker, fetched.tree), {
    ".gitmodules": modules(urls),
    "code.txt": "c",
    "same/leaf.txt": "recorded",
    "vendor/a b/.gitmodules": modules({ "deep/leaf": "../../libs/leaf.git/" }),
    "vendor/a b/deep/leaf/leaf.txt": "recorded",
    "vendor/a b/middle.txt": "m",
  });
  // Another commit with the same submodules: these are here already.
  server.commit("group/code", { "code.txt": "changed" }, { "vendor/a b": middle, same: leaf });
  server.asked.length = 0;
  const next = await worker.client.fetchGit({ url, ref: "main" }, by);
  assert.equal((await filesOf(worker, next.tree))["same/leaf.txt"], "recorded");
  assert.deepEqual(
    server.asked.filter((path) => !path.startsWith("/group/code.git/")),
    [],
  );
  // Nothing of the check-outs is left.
  assert.deepEqual(
    readdirSync(join(worker.folder, "mirrors")).filter((name) => !name.endsWith(".git")),
    [],
  );
});

test("credentials go to the same host, and to no other", async () => {
  await using worker = await startSourceWorker();
  await using server = await startGitServer("me:s3cret-token");
  await using elsewhere = await startGitServer();
  const near = server.commit("near", { "near.txt": "near" });
  const far = elsewhere.commit("far", { "far.txt": "far" });
  server.commit(
    "code",
    { ".gitmodules": modules({ near: "../near.git", far: `${elsewhere.url}/far.git` }) },
    { near, far },
  );
  const url = `${server.url}/code.git`;
  const { tree } = await worker.client.fetchGit({ url, ref: "main", credentials }, by);
  assert.deepEqual(Object.keys(await filesOf(worker, tree)), [
    ".gitmodules",
    "far/far.txt",
    "near/near.txt",
  ]);
  assert.ok(server.authorizations.has(asked));
  assert.deepEqual([...elsewhere.authorizations], [""]);
});

test("what cannot be fetched is said with its path, its URL and its commit", async () => {
  await using worker = await startSourceWorker();
  await using server = await startGitServer();
  const gone = "1234567890123456789012345678901234567890";
  server.commit("lib", { "lib.txt": "lib" });
  const middle = server.commit(
    "middle",
    { ".gitmodules": modules({ sub: "../lib.git" }) },
    { sub: gone },
  );
  const fetch = (repo: string) =>
    worker.client.fetchGit({ url: `${server.url}/${repo}.git`, ref: "main" }, by);

  const cases: readonly [string, Record<string, string>, Record<string, string>, RegExp][] = [
    [
      "rewritten",
      { in: "../middle.git" },
      { in: middle },
      /main .* of .*\/rewritten\.git: submodule in: submodule sub: cannot fetch 1234567890\d+ of http.*\/lib\.git: commit 1234\d+ is not in it/,
    ],
    ["missing", { in: "../no.git" }, { in: gone }, /submodule in: .*1234\d+ of .*\/no\.git/],
    ["unnamed", {}, { in: gone }, /submodule in: .gitmodules names no URL .* 12345678/],
    [
      "local",
      { in: "/etc/repo" },
      { in: gone },
      /submodule in: .*1234\d+ of \/etc\/repo: .*not allowed/,
    ],
    ["program", { in: "ext::sh -c true" }, { in: gone }, /submodule in: .*ext.*not allowed/],
    ["option", { in: "--upload-pack=x" }, { in: gone }, /submodule in: .*is no URL/],
  ];
  for (const [repo, urls, submodules, message] of cases) {
    server.commit(repo, { ".gitmodules": modules(urls), "code.txt": repo }, submodules);
    await assert.rejects(fetch(repo), message, repo);
  }

  const never = modules({ in: "../no.git" }, "\tupdate = none\n");
  server.commit("never", { ".gitmodules": never }, { in: gone });
  assert.deepEqual(Object.keys(await filesOf(worker, (await fetch("never")).tree)), [
    ".gitmodules",
  ]);
});

test("relative URLs are resolved as git resolves them", () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-relative-"));
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, encoding: "utf8" });
    git("init", "-q");
    mkdirSync(join(folder, "sub"));
    git("update-index", "--add", "--cacheinfo", `160000,${"1".repeat(40)},sub`);
    git("config", "-f", ".gitmodules", "submodule.sub.path", "sub");
    for (const parent of [
      "https://example.com/group/code.git",
      "https://example.com/group/code/",
      "https://me@example.com:8443/code",
      "ssh://git@example.com/~me/code.git",
      "git@example.com:group/code.git",
      "git@example.com:code.git",
    ]) {
      git("config", "remote.origin.url", parent);
      for (const said of ["../lib.git", "../../other/lib.git/", "./lib", "./../lib", "../../lib"]) {
        git("config", "-f", ".gitmodules", "submodule.sub.url", said);
        // What it was the last time; there is none at first.
        spawnSync("git", ["config", "--remove-section", "submodule.sub"], { cwd: folder });
        git("submodule", "--quiet", "init");
        const expected = git("config", "submodule.sub.url").trim();
        // Where it leads out of the host, git takes it for a folder beside this one.
        if (expected.startsWith("."))
          assert.throws(() => submoduleUrl(parent, said), /leads out of git@example/);
        else assert.equal(submoduleUrl(parent, said), expected, `${said} of ${parent}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
