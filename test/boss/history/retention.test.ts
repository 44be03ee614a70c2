import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { RunSummary } from "../../../src/wire/boss.js";
import { type Rig, startRig } from "../../rig/rig.js";

const forever = Number.POSITIVE_INFINITY;
const files = {
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    stage("s", { t: () => run("any", "head -c 100000 /dev/zero") });`,
};

async function keptRuns(rig: Rig): Promise<number[]> {
  return (await rig.get<RunSummary[]>("/api/runs")).map((run) => run.id);
}

/** The sweep after a run is done when it has been said. */
function startSaying(
  limits: { keepRuns?: number; keepDays?: number; maxDataBytes?: number },
  given: Readonly<Record<string, string>> = files,
) {
  const said: string[] = [];
  const rig = startRig({
    files: given,
    retention: { keepRuns: forever, keepDays: forever, maxDataBytes: forever, ...limits },
    log: (line) => said.push(line),
  });
  return { said, rig };
}

test("the oldest runs go when there are more than are kept, with their output, and it is said", async () => {
  const { said, rig: starting } = startSaying({ keepRuns: 2 });
  await using rig = await starting;
  for (let n = 0; n < 4; n++) await rig.run();
  await rig.run({ only: ["s.t"] });
  await rig.boss.stop();
  assert.equal(said.filter((line) => /^deleted run \d \(97\.7 KiB\)/.test(line)).length, 3);
});

test("the oldest runs go when their output takes too much room", async () => {
  const { rig: starting } = startSaying({ maxDataBytes: 250_000 });
  await using rig = await starting;
  for (let n = 0; n < 4; n++) await rig.run();
  // The next run starts after the sweep of the one before was asked for, so the kept ones are the newest.
  while ((await keptRuns(rig)).length > 2) await new Promise(setImmediate);
  assert.deepEqual(await keptRuns(rig), [4, 3]);
  const [own] = readdirSync(join(rig.folder, "data"));
  assert.equal(existsSync(join(rig.folder, "data", own!, "1")), false);
  assert.equal((await fetch(`${rig.url}/api/runs/1`)).status, 404);
});

test("old runs go, but never the newest", async () => {
  const { rig: starting } = startSaying({ keepDays: 1e-9 });
  await using rig = await starting;
  for (let n = 0; n < 3; n++) await rig.run();
  while ((await keptRuns(rig)).length > 1) await new Promise(setImmediate);
  assert.deepEqual(await keptRuns(rig), [3]);
});

test("a pinned run stays, and takes no other's place; unpinned it goes", async () => {
  const { rig: starting } = startSaying({ keepRuns: 2 });
  await using rig = await starting;
  await rig.run();
  assert.deepEqual(await rig.post("/api/runs/1/pin"), {
    status: 200,
    body: { run: 1, pinned: true },
  });
  for (let n = 0; n < 4; n++) await rig.run();
  while ((await keptRuns(rig)).length > 3) await new Promise(setImmediate);
  assert.deepEqual(await keptRuns(rig), [5, 4, 1]);
  const [, , first] = await rig.get<RunSummary[]>("/api/runs");
  assert.equal(first?.pinned, true);
  await rig.post("/api/runs/1/unpin");
  while ((await keptRuns(rig)).length > 2) await new Promise(setImmediate);
  assert.deepEqual(await keptRuns(rig), [5, 4]);
  assert.equal((await rig.post("/api/runs/1/pin")).status, 404);
});

test("a run stays as long as another that runs it again is under way", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-again-"));
  const gate = join(folder, "gate");
  const { rig: starting } = startSaying(
    { keepRuns: 1 },
    {
      ".bettertest/pipedef.ts": `import { artifacts, run, stage } from "bettertest";
        stage("Build", { made: () => run("any", "echo made > made.txt", { artifacts: "made.txt" }) });
        stage("Test", { t: () => run("any", "until [ -e ${gate} ]; do sleep 0.05; done; cat made.txt; exit 1", { source: artifacts("Build.made") }) });
        stage("Other", { quick: () => {} });`,
    },
  );
  try {
    await using rig = await starting;
    writeFileSync(gate, "");
    const first = await rig.run();
    assert.equal(first.status, "failed");
    rmSync(gate);
    const again = rig.boss.engine.rerun(first.id, { failed: true, trigger: "test" });
    assert.ok(again.ok);
    await rig.run({ only: ["Other.quick"] });
    await rig.run({ only: ["Other.quick"] });
    assert.ok((await keptRuns(rig)).includes(first.id));
    writeFileSync(gate, "");
    const ended = await rig.boss.engine.finished(again.run);
    assert.equal(ended.status, "failed", "red by its own words, not for want of its source");
    while ((await keptRuns(rig)).includes(first.id)) await new Promise(setImmediate);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
