// The two-class template of the original, unchanged, and the same in TypeScript: one verdict each, however
// it is run.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { cli, jsonLines } from "../cli/rig.js";
import { image, noDocker } from "../rig/docker.js";
import { glance, type Rig, startRig } from "../rig/rig.js";

const template = {
  py: (models: string) => `from bettertest import Stage, run

WORKER = "WORKER_URL"
IMAGE = "${image}"


class TestUnit(Stage):
    def task_models():
        run(WORKER, IMAGE, "${models}")

    @staticmethod
    def task_utils():
        run(WORKER, IMAGE, "echo utils")


# class TestSlow(Stage):
#     def task_all():
#         run(WORKER, IMAGE, "sleep 1000")


class TestIntegration(Stage):
    def task_api():
        run(WORKER, IMAGE, "echo api")
`,
  ts: (models: string) => `import { Stage, run } from "bettertest";
const WORKER = "WORKER_URL";
const IMAGE = "${image}";

export class TestUnit extends Stage {
  static task_models() { return run(WORKER, IMAGE, "${models}"); }
  static task_utils() { return run(WORKER, IMAGE, "echo utils"); }
}
export class TestIntegration extends Stage {
  static task_api() { return run(WORKER, IMAGE, "echo api"); }
}
`,
};

const green = [
  "TestUnit.task_models passed",
  "TestUnit.task_utils passed",
  "TestIntegration.task_api passed",
];
const red = [
  "TestUnit.task_models failed",
  "TestUnit.task_utils passed",
  "TestIntegration.task_api skipped",
];
const package_ = fileURLToPath(new URL("../../../compat-python", import.meta.url));

/** Not the synchronous kind: the worker lives in this process. */
function python(args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, PYTHONPATH: package_ };
    const child = execFile("python3", args, { env }, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

describe("the template gives the same verdicts", { skip: noDocker() }, () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({
      executor: "docker",
      files: {
        "py-green/.bettertest/pipedef.py": template.py("echo models"),
        "py-red/.bettertest/pipedef.py": template.py("echo models; exit 5"),
        "ts-green/.bettertest/pipedef.ts": template.ts("echo models"),
        "ts-red/.bettertest/pipedef.ts": template.ts("echo models; exit 5"),
      },
    });
  });
  after(() => rig[Symbol.asyncDispose]());

  for (const language of ["py", "ts"] as const) {
    for (const [name, expected, verdict, code] of [
      ["green", green, "passed", 0],
      ["red", red, "failed", 1],
    ] as const) {
      const pipeline = `${language}-${name}`;
      const path = () => join(rig.folder, "repo", pipeline, ".bettertest", `pipedef.${language}`);

      test(`${pipeline} from the boss's API`, async () => {
        const { body } = await rig.post("/api/runs", { pipeline });
        const run = await rig.boss.engine.finished(body.run as number);
        assert.equal(run.status, verdict);
        assert.deepEqual(glance(run), expected);
        assert.equal(await rig.output(run.id, "TestUnit", "task_utils"), "utils\n");
      });

      test(`${pipeline} from bettertest run`, async () => {
        const { exitCode, stdout } = await cli([
          "run",
          path(),
          "--worker",
          rig.worker.url,
          "--json",
        ]);
        assert.equal(exitCode, code, stdout);
        const ends = jsonLines(stdout).flatMap((line) => {
          const event = line.event as {
            type: string;
            stage: string;
            task: string;
            end?: { status: string };
          };
          if (event?.type === "attempt-finished")
            return [`${event.stage}.${event.task} ${event.end?.status}`];
          if (event?.type === "task-skipped") return [`${event.stage}.${event.task} skipped`];
          return [];
        });
        assert.deepEqual(ends.sort(), [...expected].sort());
      });

      if (language === "py") {
        test(`${pipeline} from python3 -m bettertest`, async () => {
          const { status, stdout, stderr } = await python(["-m", "bettertest", path()]);
          assert.equal(status, code, stdout + stderr);
          assert.match(stdout, /utils/);
        });
      }
    }
  }
});
