import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { openPipedef } from "../../src/library.js";

const noDocker = spawnSync("docker", ["version"]).status !== 0 && "no Docker engine answers";

for (const executor of ["process", "docker"] as const) {
  const skip = executor === "docker" && noDocker;
  test(`examples/quickstart is green with the executor ${executor}`, { skip }, async () => {
    const pipedef = await openPipedef("examples/quickstart/.bettertest/pipedef.ts", { executor });
    try {
      const { verdict, tasks } = await pipedef.run().result;
      assert.equal(verdict, "passed");
      assert.equal(tasks.length, 7);
    } finally {
      await pipedef.close();
    }
  });
}
