// A container made ahead is as good as one made on demand.

import { createDockerExecutor } from "../../../src/worker/executors/docker.js";
import { executorContract } from "../../contracts/executor.js";
import { containersOf, image } from "../../rig/worker.js";

executorContract("docker with a pool", {
  create: async () => {
    const executor = await createDockerExecutor({
      pull: "missing",
      poolMax: 4,
      poolIdleMs: 60_000,
      log: () => {},
    });
    const filled = new Promise<void>((resolve) => {
      executor.onReady?.((ready) => {
        if (ready >= 2) resolve();
      });
    });
    await executor.expect?.([{ image, count: 3 }]);
    await filled;
    return executor;
  },
  tracesOf: async (sandbox) => containersOf(process.pid).filter((id) => id === sandbox),
});
