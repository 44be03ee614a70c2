import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { exits, loadRig, openRig } from "./rig.js";

const template = `
from bettertest import Stage, run

WORKER = "http://localhost:9009"
IMAGE = "myproject-test"


class TestUnit(Stage):

    @staticmethod
    def task_models():
        run(WORKER, IMAGE, "pytest -xvs test/test_models.py")

    def task_utils():
        print("before")
        run(IMAGE, "pytest -xvs test/test_utils.py")
        print("after")


# class TestLater(Stage):
#     def task_a():
#         pass


class TestIntegration(Stage):

    @staticmethod
    def task_end_to_end():
        return run(WORKER, IMAGE, "pytest integration")
`;

test("the template of two classes loads, in the order of the file, with the place of each task", async () => {
  await using rig = await openRig(template);
  assert.deepEqual(await rig.load(), {
    ok: true,
    files: [`${rig.root}/.bettertest/pipedef.py`],
    pipeline: {
      warnings: [],
      stages: [
        {
          name: "TestUnit",
          always: false,
          tasks: [
            { name: "task_models", location: { file: ".bettertest/pipedef.py", line: 11 } },
            { name: "task_utils", location: { file: ".bettertest/pipedef.py", line: 14 } },
          ],
        },
        {
          name: "TestIntegration",
          always: false,
          tasks: [
            { name: "task_end_to_end", location: { file: ".bettertest/pipedef.py", line: 28 } },
          ],
        },
      ],
    },
  });
});

test("a task runs its command on the worker it names, and passes when the command does", async () => {
  await using rig = await loadRig(template);
  const seen: (string | null)[] = [];
  const ran = await rig.run("TestUnit.task_models", {
    answer: ({ worker }) => {
      seen.push(worker);
      return exits(0);
    },
  });
  assert.deepEqual(ran.end, { status: "passed" });
  assert.deepEqual(ran.calls, [
    { image: "myproject-test", command: "pytest -xvs test/test_models.py" },
  ]);
  assert.deepEqual(seen, ["http://localhost:9009"]);
});

test("a non-zero exit makes the task red, with one plain line instead of a traceback", async () => {
  await using rig = await loadRig(template);
  const ran = await rig.run("TestUnit.task_utils", {
    answer: ({ worker, print }) => {
      assert.equal(worker, null);
      print("from the command\n");
      return exits(7);
    },
  });
  assert.deepEqual(ran.end, {
    status: "failed",
    failure: { kind: "exit", command: "pytest -xvs test/test_utils.py", exitCode: 7 },
  });
  assert.equal(
    ran.output,
    "before\nfrom the command\nbettertest: exit code 7: pytest -xvs test/test_utils.py\n",
  );
});

test("a task that the pipedef does not have is nobody's red test", async () => {
  await using rig = await loadRig(template);
  assert.deepEqual((await rig.run("TestUnit.task_gone")).end, {
    status: "errored",
    fault: { message: "the pipedef has no task task_gone in stage TestUnit" },
  });
  assert.deepEqual((await rig.run("TestUnit.task_models")).end, { status: "passed" });
});

test("200 tasks of `pass` take under 3 seconds on a quiet machine, the start of the interpreter included", async () => {
  // What else the machine does only adds time: the best of three counts, against bare forks where it does much.
  const times: string[] = [];
  for (;;) {
    const tookMs = await timeOf200Tasks();
    if (tookMs < 3000) return;
    const forksMs = timeOf200Forks();
    if (tookMs < 10 * forksMs) return;
    times.push(`${tookMs} ms where 200 forks take ${forksMs} ms`);
    assert.ok(times.length < 3, times.join(", "));
  }
});

function timeOf200Forks(): number {
  const script = "import os\nfor n in range(200):\n  if os.fork() == 0: os._exit(0)\n  os.wait()";
  const startedAt = performance.now();
  execFileSync("python3", ["-c", script]);
  return performance.now() - startedAt;
}

async function timeOf200Tasks(): Promise<number> {
  const tasks = Array.from({ length: 200 }, (_, n) => `    def task_${n}(): pass\n`).join("");
  const startedAt = performance.now();
  await using rig = await loadRig(`from bettertest import Stage\nclass T(Stage):\n${tasks}`);
  let next = 0;
  const slot = async () => {
    while (next < 200) assert.equal((await rig.run(`T.task_${next++}`)).end.status, "passed");
  };
  await Promise.all([slot(), slot(), slot(), slot()]);
  return performance.now() - startedAt;
}
