// Sources that a worker fetches by itself, from a server that wants to know who asks.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { by, key, startSourceWorker } from "../../rig/source-worker.js";

const scratch = mkdtempSync(join(tmpdir(), "bettertest-git-"));
/** Of workers that are started again. */
const folders = mkdtempSync(join(tmpdir(), "bettertest-mirrors-"));
const repo = join(scratch, "repo");
const credentials = { username: "me", password: "s3cret-token" };
let server: Server;
let url = "";
/** Paths that were asked for, so that one sees what travels. */
const asked: string[] = [];
let isClosed = false;

function git(...args: string[]): string {
  const identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
  return execFileSync("git", [...identity, ...args], { cwd: repo, encoding: "utf8" }).trim();
}

function commit(text: string): string {
  writeFileSync(join(repo, "code.txt"), text);
  git("add", "-A");
  git("commit", "-q", "-m", text);
  git("update-server-info");
  return git("rev-parse", "HEAD");
}

before(async () => {
  mkdirSync(repo);
  git("init", "-q", "-b", "main");
  mkdirSync(join(repo, "bin"));
  writeFileSync(join(repo, "bin/run"), "#!/bin/sh\n", { mode: 0o755 });
  server = createServer((request, response) => {
    const right = `Basic ${Buffer.from("me:s3cret-token").toString("base64")}`;
    if (isClosed && request.headers.authorization !== right) {
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
      return;
    }
    const path = new URL(request.url ?? "/", "http://x").pathname;
    asked.push(path);
    try {
      response.end(readFileSync(join(repo, ".git", path.replace("/code.git", ""))));
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/code.git`;
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
  for (const folder of [scratch, folders]) rmSync(folder, { recursive: true, force: true });
});

test("branches, tags, commits and pull requests, each fetched once", async () => {
  await using worker = await startSourceWorker();
  const first = commit("one");
  git("tag", "v1");
  git("update-ref", "refs/pull/7/head", first);
  const second = commit("two");
  const fetch = (ref: string) => worker.client.fetchGit({ url, ref }, by);

  const main = await fetch("main");
  assert.equal(main.commit, second);
  const place = await worker.store.place();
  await place.fill({ tree: main.tree, key });
  assert.equal(readFileSync(join(place.path, "code.txt"), "utf8"), "two");
  assert.deepEqual(readdirSync(place.path), ["bin", "code.txt"]);
  await place.release();

  assert.equal((await fetch("v1")).commit, first);
  assert.equal((await fetch("refs/pull/7/head")).commit, first);
  const objects = () => asked.filter((path) => path.includes("/objects/")).length;
  const had = objects();
  assert.equal((await fetch(first)).commit, first);
  assert.equal((await fetch("main")).commit, second);
  assert.equal(objects(), had);

  const third = commit("three");
  const many = await Promise.all(Array.from({ length: 8 }, () => fetch("main")));
  assert.deepEqual([...new Set(many.map((one) => one.commit))], [third]);
  // A run that began with the commit before stays with it.
  assert.equal(
    (await worker.client.fetchGit({ url, ref: "main", commit: second }, by)).commit,
    second,
  );
});

test("what killed processes and old repos have left is gone at the next start", async () => {
  const folder = join(folders, "left");
  const mirrors = join(folder, "mirrors");
  commit("before the kill");
  {
    await using worker = await startSourceWorker({ folder });
    await worker.client.fetchGit({ url, ref: "main" }, by);
  }
  const [mirror = ""] = readdirSync(mirrors);
  // As git leaves them that is killed while it writes.
  const refs = join(mirrors, mirror, "refs/fetched");
  for (const name of readdirSync(refs)) writeFileSync(join(refs, `${name}.lock`), "");
  for (const name of ["config.lock", "packed-refs.lock", "shallow.lock"])
    writeFileSync(join(mirrors, mirror, name), "");
  mkdirSync(join(mirrors, "out-0123456789ab/tree"), { recursive: true });
  for (const [name, days] of Object.entries({ "seldom.git": 29, "never.git": 31 })) {
    mkdirSync(join(mirrors, name));
    const then = Date.now() / 1000 - days * 24 * 3600;
    utimesSync(join(mirrors, name), then, then);
  }
  const head = commit("after the kill");
  {
    await using worker = await startSourceWorker({ folder });
    assert.deepEqual(readdirSync(mirrors).sort(), [mirror, "seldom.git"].sort());
    assert.equal((await worker.client.fetchGit({ url, ref: "main" }, by)).commit, head);
  }
  // Half of a mirror is none.
  rmSync(join(mirrors, mirror, "HEAD"));
  await using worker = await startSourceWorker({ folder });
  assert.equal((await worker.client.fetchGit({ url, ref: "main" }, by)).commit, head);
});

test("a mirror that is used is not an old one", async () => {
  const folder = join(folders, "used");
  await using worker = await startSourceWorker({ folder });
  const head = commit("used");
  await worker.client.fetchGit({ url, ref: "main" }, by);
  const [mirror = ""] = readdirSync(join(folder, "mirrors"));
  const path = join(folder, "mirrors", mirror);
  utimesSync(path, 0, 0);
  // Nothing is fetched for it.
  await worker.client.fetchGit({ url, ref: head }, by);
  assert.ok(Date.now() - statSync(path).mtimeMs < 3600_000);
});

test("what is not there is said with its repo and its ref", async () => {
  await using worker = await startSourceWorker();
  commit("four");
  await assert.rejects(worker.client.fetchGit({ url, ref: "nowhere" }, by), (error: Error) => {
    assert.match(error.message, /nowhere/);
    assert.match(error.message, /code\.git/);
    return true;
  });
  const missing = url.replace("code.git", "other.git");
  await assert.rejects(
    worker.client.fetchGit({ url: missing, ref: "main" }, by),
    /main of .*other\.git/,
  );
});

/** Takes connections and says nothing, until it is told to pass on what it is asked to the real one. */
async function startSilentServer() {
  const open = new Set<Socket>();
  let isSilent = true;
  const port = Number(new URL(url).port);
  const silent = createTcpServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => open.delete(socket));
    if (isSilent) return void socket.resume();
    const through = connect(port, "127.0.0.1");
    through.on("error", () => socket.destroy());
    socket.pipe(through).pipe(socket);
  });
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  return {
    url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/code.git`,
    open,
    speak() {
      isSilent = false;
    },
    connected: () => once(silent, "connection"),
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      silent.close();
      await once(silent, "close");
    },
  };
}

test("a fetch that hangs ends when whoever asked has gone, and the next one has its turn", {
  timeout: 60_000,
}, async () => {
  await using worker = await startSourceWorker();
  await using silent = await startSilentServer();
  const head = commit("hangs");
  const gone = new AbortController();
  const connected = silent.connected();
  const first = worker.client.fetchGit(
    { url: silent.url, ref: "main" },
    { key, signal: gone.signal },
  );
  first.catch(() => {});
  await connected;
  const next = worker.client.fetchGit({ url: silent.url, ref: "main" }, by);
  const [hanging] = silent.open;
  const left = once(hanging!, "close");
  silent.speak();
  gone.abort();
  await assert.rejects(first);
  await left;
  assert.equal((await next).commit, head);
});

for (const [name, gitLimits, words] of [
  ["says nothing for too long", { silenceMs: 1_000 }, /main of .*code\.git: .*too slow/],
  ["takes too long", { fetchMs: 1_000 }, /main of .*code\.git: it took longer than 1\.0 s/],
] as const) {
  test(`a server that ${name} is an error that names it`, { timeout: 60_000 }, async () => {
    await using worker = await startSourceWorker({ gitLimits });
    await using silent = await startSilentServer();
    await assert.rejects(
      worker.client.fetchGit({ url: silent.url, ref: "main" }, by),
      (error: Error) => {
        assert.match(error.message.replaceAll("\n", " "), words);
        return true;
      },
    );
  });
}

test("credentials are for one request, and nowhere afterwards", async () => {
  await using worker = await startSourceWorker();
  const head = commit("five");
  isClosed = true;
  try {
    await assert.rejects(worker.client.fetchGit({ url, ref: "main" }, by), /main of/);
    const found = await worker.client.fetchGit({ url, ref: "main", credentials }, by);
    assert.equal(found.commit, head);
    commit("six");
    await assert.rejects(worker.client.fetchGit({ url, ref: "main" }, by), (error: Error) => {
      assert.ok(!error.message.includes("s3cret"));
      return true;
    });
    const kept = execFileSync("grep", ["-rlE", "s3cret|bWU6czNjcmV0", worker.folder, "/dev/null"], {
      encoding: "utf8",
      stdio: "pipe",
    } as const);
    assert.equal(kept, "");
  } catch (error) {
    // grep ends with 1 where it finds nothing.
    if (!(error instanceof Error && "status" in error && error.status === 1)) throw error;
  } finally {
    isClosed = false;
  }
});

test("no URL and no ref starts a program, reads this machine, or is an option", async () => {
  await using worker = await startSourceWorker();
  for (const bad of [
    repo,
    `file://${repo}`,
    `ext::sh -c "touch ${scratch}/owned"`,
    "--upload-pack=touch",
  ]) {
    await assert.rejects(
      worker.client.fetchGit({ url: bad, ref: "main" }, by),
      /no URL|cannot fetch/,
      bad,
    );
  }
  for (const ref of ["--upload-pack=x", "a:b", "a..b", "+main", "a b"]) {
    await assert.rejects(worker.client.fetchGit({ url, ref }, by), /no ref/, ref);
  }
  assert.deepEqual(readdirSync(scratch), ["repo"]);
});
