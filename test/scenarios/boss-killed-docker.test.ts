// As boss-killed, with containers: none may be left, and none be started twice.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { eachTask } from "../../src/model/run.js";
import { tempRepo } from "../cli/rig.js";
import { startBossProcess } from "../rig/boss-process.js";
import { image, noDocker } from "../rig/docker.js";
import { containersOf, eventually, startWorkerProcess } from "../rig/worker.js";

describe("a boss with containers that is killed again and again", { skip: noDocker() }, () => {
  test("its run passes, and leaves no container", async () => {
    await using worker = await startWorkerProcess({ executor: "docker", slots: 4, poolMax: 0 });
    using repo = tempRepo({
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        const s = stage("s");
        for (let n = 0; n < 6; n++) s.task("t" + n, async () => {
          console.log("begin");
          for (const call of [1, 2, 3])
            await run("${image}", "seq 1 200; sleep 0.3; echo call " + call);
          console.log("end");
        });`,
    });
    const start = () =>
      startBossProcess(["--data", join(repo.folder, "data"), "--worker", worker.url], repo.folder);
    let boss = await start();
    const id = await boss.start();
    for (let kill = 1; kill <= 3; kill++) {
      let ended = 0;
      await boss.sees(id, ({ event }) => {
        if (event.type === "call-finished") ended += 1;
        return ended >= kill * 4;
      });
      await boss.kill();
      boss = await start();
    }
    try {
      const run = await boss.finished(id);
      const numbers = Array.from({ length: 200 }, (_, n) => `${n + 1}\n`).join("");
      const calls = [1, 2, 3].map((call) => `${numbers}call ${call}\n`).join("");
      for (const { ref, task } of eachTask(run)) {
        assert.equal(task.status, "passed", JSON.stringify(task));
        assert.equal(await boss.output(id, ref.stage, ref.task), `begin\n${calls}end\n`);
      }
      await eventually(() => containersOf(worker.pid).length === 0);
      assert.equal(await boss.stop(), 0);
    } finally {
      await boss.kill();
    }
  });
});
