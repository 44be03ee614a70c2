import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openTestHost } from "./rig.js";

const clone = fileURLToPath(new URL("../../../../..", import.meta.url));

test("the TypeScript example loads and each of its tasks passes", async () => {
  await using opened = await openTestHost(join(clone, "examples/typescript/pipedef.ts"));
  const { pipeline, files } = await opened.load();
  assert.deepEqual(files, [join(clone, "examples/typescript/pipedef.ts")]);
  assert.deepEqual(pipeline, {
    warnings: [],
    stages: [
      {
        name: "TestUnit",
        always: false,
        tasks: [
          { name: "task_models", location: { file: "pipedef.ts", line: 8, column: 10 } },
          { name: "task_utils", location: { file: "pipedef.ts", line: 12, column: 16 } },
        ],
      },
      {
        name: "files",
        always: false,
        tasks: [{ name: "pipedef.ts", location: { file: "pipedef.ts", line: 21, column: 22 } }],
      },
      {
        name: "CleanUp",
        always: true,
        tasks: [{ name: "task_report", location: { file: "pipedef.ts", line: 28, column: 16 } }],
      },
    ],
  });

  const utils = await opened.run("TestUnit.task_utils");
  assert.deepEqual(utils.end, { status: "passed" });
  assert.deepEqual(utils.calls, [
    { call: 1, worker: null, image: "bettertest-base", command: "echo left" },
    { call: 2, worker: null, image: "bettertest-base", command: "echo right" },
  ]);
  for (const { name, tasks } of pipeline.stages) {
    for (const task of tasks) {
      const { end } = await opened.run(`${name}.${task.name}`);
      assert.deepEqual(end, { status: "passed" }, task.name);
    }
  }
  assert.equal(utils.output, "utils, in two commands side by side\n<echo left>\n<echo right>\n");
});
