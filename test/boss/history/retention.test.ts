import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
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
function startSaying(limits: { keepRuns?: number; keepDays?: number; maxDataBytes?: number }) {
  const said: string[] = [];
  const rig = startRig({
    files,
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
