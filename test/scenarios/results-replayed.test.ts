// A boss that is killed while a command runs: what the command has left is there all the same.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findTask } from "../../src/model/run.js";
import { tempRepo } from "../cli/rig.js";
import { startBossProcess } from "../rig/boss-process.js";
import { eventually, startWorkerProcess } from "../rig/worker.js";

const report =
  '<testsuite name="pytest"><testcase classname="a" name="green"/><testcase classname="a" name="red"><failure message="no"/></testcase></testsuite>';

test("a boss killed in mid-command names the failed test and has the artifact after its restart", async () => {
  await using worker = await startWorkerProcess({ executor: "process", slots: 2 });
  using repo = tempRepo({});
  const gate = join(repo.folder, "gate");
  const done = join(repo.folder, "done");
  const command = `while [ ! -e ${gate} ]; do sleep 0.05; done; printf '%s' '${report}' > junit.xml; echo kept > kept.txt; echo x > ${done}`;
  repo.write(
    ".bettertest/pipedef.ts",
    `import { run, stage } from "bettertest";
     const options = { results: "junit.xml", artifacts: "kept.txt" };
     stage("s", { t: () => run(${JSON.stringify(worker.url)}, "any", ${JSON.stringify(command)}, options) });`,
  );
  const args = ["--data", join(repo.folder, "data"), "--worker", worker.url];
  const first = await startBossProcess(args, repo.folder);
  const id = await first.start();
  await first.sees(id, ({ event }) => event.type === "call-started");
  await first.kill();
  repo.write("gate", "");
  await eventually(() => existsSync(done));
  const second = await startBossProcess(args, repo.folder);
  try {
    const run = await second.finished(id);
    const attempt = findTask(run, { stage: "s", task: "t" })?.attempts;
    assert.equal(run.status, "failed");
    assert.equal(attempt?.length, 1);
    assert.deepEqual(attempt?.[0]?.files?.[1], {
      tests: {
        ...{ passed: 1, failed: 1, skipped: 0, framework: "pytest" },
        failures: [{ suite: "a", name: "red", verdict: "failed", message: "no" }],
      },
      artifacts: { files: 1, bytes: 5 },
      notes: [],
    });
    const kept = await fetch(`${second.url}/api/runs/${id}/artifacts/kept.txt`);
    assert.equal(await kept.text(), "kept\n");
  } finally {
    await second.stop();
  }
});
