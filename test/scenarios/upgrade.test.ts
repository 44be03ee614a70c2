// A data folder goes from this version to the next, which knows one more migration, and not back. The next
// version is this very program with a step added.

import assert from "node:assert/strict";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { migrations } from "../../src/boss/store/migrations.js";
import type { RunSnapshot } from "../../src/wire/boss.js";
import { cli, program, type RunningCli, startCli, tempRepo } from "../cli/rig.js";

const files = {
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    stage("s", { t: () => run("any", "echo kept") });`,
};

/** A copy of the program whose history has one more step. */
function nextVersion(folder: string): string {
  const here = dirname(dirname(program));
  for (const part of ["bin", "dist", "package.json"]) {
    cpSync(join(here, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(here, "node_modules"), join(folder, "node_modules"));
  const path = join(folder, "dist/src/cli/command-line.cjs");
  const steps = readFileSync(path, "utf8");
  const last = `\`${migrations.at(-1)}\``;
  const more = "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'";
  const changed = steps.replace(last, () => `${last}, "${more};"`);
  assert.notEqual(changed, steps);
  writeFileSync(path, changed);
  return join(folder, "bin/bettertest.js");
}

test("a data folder opens after an upgrade with one more migration; the older program refuses it then", async () => {
  using repo = tempRepo(files);
  using next = tempRepo({});
  const data = join(repo.folder, "data");
  const args = ["up", "--executor", "process", "--port", "0", "--worker-port", "0", "--data", data];
  const startThis = () => startCli(args, { cwd: repo.folder });
  const before = await withBoss(startThis(), async (url) => {
    await startRun(url, 1);
    return await state(url);
  });
  assert.equal(before.run.status, "passed");
  assert.equal(before.output, "kept\n");

  const nextProgram = nextVersion(next.folder);
  const startNext = () => startCli(args, { cwd: repo.folder, program: nextProgram });
  for (const id of [2, 3]) {
    const after = await withBoss(startNext(), async (url) => {
      const found = await state(url);
      await startRun(url, id);
      return found;
    });
    assert.deepEqual(after.run, before.run);
    assert.equal(after.output, before.output);
  }
  const refused = await cli(args, { cwd: repo.folder });
  assert.equal(refused.exitCode, 3);
  assert.match(
    refused.stderr,
    /was written by a newer bettertest.*Upgrade, or choose another --data/,
  );
  const checked = await cli(["data", "check", "--data", data]);
  assert.equal(checked.exitCode, 3);
  assert.match(checked.stderr, /was written by a newer bettertest/);
});

async function withBoss<T>(up: RunningCli, use: (url: string) => Promise<T>): Promise<T> {
  try {
    const [, url] = /boss\s+(http\S+)/.exec(await up.prints(/boss\s+http\S+[\s\S]*stops/))!;
    return await use(url!);
  } finally {
    up.child.kill("SIGTERM");
    await up.ended;
  }
}

async function startRun(url: string, id: number): Promise<void> {
  const started = await fetch(`${url}/api/runs`, { method: "POST" });
  assert.deepEqual(await started.json(), { run: id });
  await (await fetch(`${url}/api/runs/${id}/events`)).text();
}

async function state(url: string) {
  const { run } = (await (await fetch(`${url}/api/runs/1`)).json()) as RunSnapshot;
  const output = await (await fetch(`${url}/api/runs/1/tasks/s/t/output`)).text();
  return { run, output };
}
