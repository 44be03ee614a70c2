// Who starts first is decided by what the last runs took.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunEvent } from "../../src/model/events.js";
import { startRig } from "../rig/rig.js";

test("with one slot, tasks start in the order of the source, then by what they took in the last run", async () => {
  await using rig = await startRig({
    slots: 1,
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        const unit = stage("unit");
        for (const name of ["quick", "slow", "middle"]) unit.task(name, () => run("WORKER_URL", "image", "true"));
      `,
    },
  });
  const { store, pipelines } = rig.boss.engine;
  const started = async () => {
    const { id } = await rig.run();
    return store
      .events({ run: id, after: 0, limit: 1000 })
      .flatMap(({ event }) => (event.type === "attempt-started" ? [event.task] : []));
  };
  assert.deepEqual(await started(), ["quick", "slow", "middle"]);

  // Three more runs, in which they took as long as their names say.
  const [{ name: pipelineName, pipedef, pipeline } = assert.fail("no pipeline")] =
    pipelines.views();
  const took = { quick: 10, slow: 60_000, middle: 5000 };
  for (let count = 0; count < 3; count += 1) {
    const tasks = Object.entries(took).flatMap(([task, ms]): RunEvent[] => {
      const ref = { stage: "unit", task, attempt: 1 };
      return [
        { type: "attempt-started", at: 1, ...ref },
        { type: "attempt-finished", at: 1 + ms, ...ref, end: { status: "passed" } },
      ];
    });
    const created = { type: "run-created", at: 0, keepGoing: false, trigger: "test" } as const;
    store.add(store.nextRunId(), [
      { ...created, pipelineName, pipedef },
      { type: "run-loaded", at: 1, pipeline: pipeline! },
      ...tasks,
      { type: "run-finished", at: 70_000, verdict: "passed" },
    ]);
  }
  assert.deepEqual(await started(), ["slow", "middle", "quick"]);
});
