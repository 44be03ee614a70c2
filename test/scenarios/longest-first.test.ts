// Who starts first is decided by what the last runs took.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startRig } from "../rig/rig.js";

test("with one slot, the task that took longest in the last run starts first in the next", async () => {
  await using rig = await startRig({
    slots: 1,
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        const unit = stage("unit");
        for (const [name, seconds] of [["quick", 0], ["slow", 1.2], ["middle", 0.6]])
          unit.task(String(name), () => run("WORKER_URL", "image", "sleep " + seconds));
      `,
    },
  });
  const started = async () => {
    const { id } = await rig.run();
    return rig.boss.engine.store
      .events({ run: id, after: 0, limit: 1000 })
      .flatMap(({ event }) => (event.type === "attempt-started" ? [event.task] : []));
  };
  assert.deepEqual(await started(), ["quick", "slow", "middle"]);
  assert.deepEqual(await started(), ["slow", "middle", "quick"]);
});
