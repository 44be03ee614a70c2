// Sandboxes made before anybody knew which source they will see.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createStatCache } from "../../src/source/stat-cache.js";
import { defaultSourcePath } from "../../src/wire/source.js";
import type { CommandRequest } from "../../src/wire/worker.js";
import type { WorkerOptions } from "../../src/worker/main.js";
import { bring, key } from "../rig/source-worker.js";
import { containersOf, eventually, image, infoThat, startTestWorker } from "../rig/worker.js";

/** What is expected is made, and nothing else. */
const pooled = { executor: "docker", slots: 2, poolMax: 2, poolIdleMs: 0 } as const;

interface Code extends Disposable {
  readonly folder: string;
  write(name: string, text: string): void;
}

function codeIn(files: Readonly<Record<string, string>>): Code {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-pool-source-"));
  const write = (name: string, text: string) => {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  return {
    folder,
    write,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A worker that has code, and one sandbox ready of the shape that is asked for. */
async function startWithCode(code: Code, options: WorkerOptions = {}) {
  const worker = await startTestWorker({ ...pooled, ...options });
  const send = async () => {
    const { hash } = await bring(code.folder, createStatCache(), worker.client);
    return { tree: hash, key };
  };
  const ready = async (shape: Partial<CommandRequest>, sourcePath = defaultSourcePath) => {
    const { workdir, user } = shape;
    await worker.client.expect([
      { image, sourcePath, ...(workdir && { workdir }), ...(user && { user }), count: 1 },
    ]);
    await infoThat(worker.client, (info) => info.ready >= 1);
    return containersOf(process.pid);
  };
  return Object.assign(worker, { send, ready });
}

test("a sandbox that was made before its source was known shows it, and is taken for it", async () => {
  using code = codeIn({ "code.txt": "first\n", "sub/deep.txt": "deep\n" });
  await using worker = await startWithCode(code);
  for (const version of ["first", "second"]) {
    code.write("code.txt", `${version}\n`);
    const source = await worker.send();
    const ahead = await worker.ready({});
    const { output, sandbox } = await worker.execute(
      "pwd; echo $PWD $OLDPWD; cat code.txt sub/deep.txt; echo mine > code.txt; ls /proc/self/cwd/",
      { source },
    );
    assert.ok(ahead.includes(sandbox!), "it was not one of those made ahead");
    assert.equal(output.toString(), `/workspace\n/workspace\n${version}\ndeep\ncode.txt\nsub\n`);
    assert.equal(readFileSync(join(code.folder, "code.txt"), "utf8"), `${version}\n`);
  }
});

test("working directories in a source are those of the source; one that lacks is made, but not behind a link", async () => {
  using code = codeIn({ "sub/here.txt": "here\n" });
  symlinkSync("/etc", join(code.folder, "away"));
  await using worker = await startWithCode(code);
  const source = await worker.send();
  for (const [workdir, expected] of [
    ["/workspace/sub", "/workspace/sub\nhere.txt\n"],
    ["/workspace/new/er", "/workspace/new/er\n"],
    ["/workspace/../tmp", "/tmp\n"],
    ["/tmp", "/tmp\n"],
  ] as const) {
    const ahead = await worker.ready({ workdir });
    const { output, sandbox } = await worker.execute("pwd -P; ls", { source, workdir });
    assert.ok(ahead.includes(sandbox!), workdir);
    assert.equal(output.toString(), expected);
  }
  const workdir = "/workspace/away/not-there";
  await worker.ready({ workdir });
  const { outcome } = await worker.execute("pwd", { source, workdir });
  assert.equal(outcome.kind, "faulted", JSON.stringify(outcome));
  assert.throws(() => readFileSync("/etc/not-there"));
});

test("another user, and results and artifacts, with a source from the pool", async () => {
  using code = codeIn({ "code.txt": "code\n" });
  await using worker = await startWithCode(code);
  const source = await worker.send();
  const ahead = await worker.ready({ user: "1234" });
  const { output, sandbox, outcome } = await worker.execute("id -u; cat code.txt", {
    source,
    user: "1234",
    artifacts: ["code.txt"],
  });
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.ok(ahead.includes(sandbox!));
  assert.equal(output.toString(), "1234\ncode\n");
});

test("where overlays cannot be mounted, a waiting sandbox gets a copy", async () => {
  using code = codeIn({ "code.txt": "code\n", "sub/deep.txt": "deep\n" });
  await using worker = await startWithCode(code, { copySources: true });
  const source = await worker.send();
  const workdir = "/workspace/sub";
  const ahead = await worker.ready({ workdir });
  const { output, sandbox } = await worker.execute("pwd; cat ../code.txt deep.txt", {
    source,
    workdir,
  });
  assert.ok(ahead.includes(sandbox!));
  assert.equal(output.toString(), "/workspace/sub\ncode\ndeep\n");
});

test("a tree that the worker does not have is a fault, and the sandbox is gone", async () => {
  using code = codeIn({ "code.txt": "code\n" });
  await using worker = await startWithCode(code);
  const ahead = await worker.ready({});
  const source = { tree: "0".repeat(64), key };
  const { outcome } = await worker.execute("true", { source });
  assert.match(JSON.stringify(outcome), /faulted.*has no source tree/);
  await eventually(() => !ahead.every((id) => containersOf(process.pid).includes(id)));
});

test("sandboxes that nobody took leave no folder and no mount", async () => {
  using code = codeIn({ "code.txt": "code\n" });
  const dataDir = mkdtempSync(join(tmpdir(), "bettertest-pool-data-"));
  try {
    {
      await using worker = await startWithCode(code, { dataDir });
      const source = await worker.send();
      await worker.ready({});
      await worker.execute("true", { source });
      await worker.ready({});
    }
    assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "utf8"), new RegExp(dataDir));
    assert.equal(execFileSync("ls", [dataDir]).toString(), "");
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
