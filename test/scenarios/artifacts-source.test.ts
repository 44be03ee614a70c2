// What one stage has built is what the next one tests.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findTask } from "../../src/model/run.js";
import { startWorker } from "../../src/worker/main.js";
import { glance, startRig } from "../rig/rig.js";
import { eventually } from "../rig/worker.js";

const pipedef = `
  import { artifacts, run, stage, workspace } from "bettertest";
  const image = "bettertest-base";
  stage("Build", {
    compile: () => run(image, "mkdir -p dist/bin; echo built > dist/app.js; printf 'echo ran' > dist/bin/go; chmod 755 dist/bin/go", { source: workspace(), artifacts: ["dist/**"] }),
    docs: () => run(image, "mkdir docs; echo words > docs/a.txt", { artifacts: "docs/*" }),
  });
  stage("Test", {
    alone: () => run(image, "ls; cat dist/app.js; ./dist/bin/go", { source: artifacts("Build.compile") }),
    both: () => run(image, "ls; cat docs/a.txt", { source: artifacts(["Build.compile", "Build.docs"], { path: "/deep/down" }) }),
    over: () => run(image, "ls; cat code.txt dist/app.js; echo mine > dist/app.js; rm -r docs", { source: artifacts(["Build.compile", "Build.docs"], { over: workspace() }) }),
  });
  stage("Wrong", {
    nobody: () => run(image, "true", { source: artifacts("Build.compose") }),
    nothing: () => run(image, "true", { source: artifacts("Test.alone") }),
  });`;

for (const executor of ["process", "docker"] as const) {
  test(`artifacts of earlier stages are a source (${executor})`, async () => {
    const here =
      executor === "process" ? pipedef.replace("mkdir docs;", "mkdir -p docs;") : pipedef;
    await using rig = await startRig({
      executor,
      slots: 3,
      files: {
        ".bettertest/pipedef.ts": here,
        "code.txt": "code\n",
        "dist/app.js": "old\n",
      },
    });
    const run = await rig.run();
    assert.deepEqual(
      glance(run),
      [
        "Build.compile passed",
        "Build.docs passed",
        "Test.alone passed",
        "Test.both passed",
        "Test.over passed",
        "Wrong.nobody errored",
        "Wrong.nothing errored",
      ],
      JSON.stringify(run),
    );
    const said = (task: string) => rig.output(run.id, "Test", task);
    assert.equal(await said("alone"), "dist\nbuilt\nran\n");
    assert.equal(await said("both"), "dist\ndocs\nwords\n");
    assert.equal(await said("over"), "code.txt\ndist\ndocs\ncode\nbuilt\n");
    const fault = (task: string) => {
      const end = findTask(run, { stage: "Wrong", task })?.attempts[0]?.end;
      return end?.status === "errored" ? end.fault.message : "";
    };
    assert.match(fault("nobody"), /Build\.compose has left, and there is no such task/);
    assert.match(fault("nothing"), /Test\.alone has left.* no artifacts in this run/);
  });
}

test("artifacts of earlier stages are a source (Python)", async () => {
  await using rig = await startRig({
    files: {
      "code.txt": "code\n",
      ".bettertest/pipedef.py": `
from bettertest import Stage, artifacts, run, workspace

class Build(Stage):
    def task_compile():
        run("none", "echo built > out.txt", source=workspace(), artifacts="out.txt")

class Test(Stage):
    def task_alone():
        run("none", "ls", source=artifacts("Build.task_compile"))
    def task_over():
        run("none", "cat out.txt code.txt", source=artifacts("Build.task_compile", over=workspace()))
`,
    },
  });
  const run = await rig.run();
  assert.equal(run.status, "passed", JSON.stringify(run));
  assert.equal(await rig.output(run.id, "Test", "task_alone"), "out.txt\n");
  assert.equal(await rig.output(run.id, "Test", "task_over"), "built\ncode\n");
});

test("a run of some tasks again takes the artifacts of the others from the run before", async () => {
  await using rig = await startRig({
    files: {
      "fails.txt": "",
      ".bettertest/pipedef.ts": `
        import { artifacts, run, stage, workspace } from "bettertest";
        stage("Build", {
          compile: () => run("none", "echo built > out.txt", { source: workspace(), artifacts: ["out.txt"] }),
        });
        stage("Test", {
          app: () => run("none", "cat out.txt; exit 1", { source: artifacts("Build.compile") }),
          typo: () => run("none", "true", { source: artifacts("Build.compil") }),
        });`,
    },
  });
  const first = await rig.run();
  assert.deepEqual(glance(first), ["Build.compile passed", "Test.app failed", "Test.typo errored"]);
  // Also of one that was such a run itself.
  for (const id of [1, 2]) {
    const { body } = await rig.post(`/api/runs/${id}/rerun`, { only: ["Test.app"] });
    const again = await rig.boss.engine.finished(Number(body.run));
    assert.deepEqual(glance(again), ["Test.app failed"], JSON.stringify(again));
    assert.equal(await rig.output(again.id, "Test", "app"), "built\n");
  }
  const alone = await rig.run({ only: ["Test.app"] });
  const faultOf = (run: typeof alone, task: string) => {
    const end = findTask(run, { stage: "Test", task })?.attempts[0]?.end;
    return end?.status === "errored" ? `${end.fault.message}. ${end.fault.hint}` : "";
  };
  assert.match(
    faultOf(alone, "app"),
    /Build\.compile .* is not part of this run.* --only Build\.compile/,
  );
  assert.match(
    faultOf(first, "typo"),
    /Build\.compil .* no such task.* There is: .*Build\.compile/,
  );
});

test("artifacts go over the working tree of the run, whatever was edited since", async () => {
  const go = mkdtempSync(join(tmpdir(), "bettertest-edited-"));
  const start = () => startWorker({ executor: "process", slots: 1, port: 0, log: () => {} });
  const first = await start();
  const second = await start();
  const big = "big\n".repeat(200_000);
  try {
    await using rig = await startRig({
      workers: [first.url, second.url],
      files: {
        "code.txt": "early\n",
        "big.txt": big,
        ".bettertest/pipedef.ts": `
          import { artifacts, run, stage, workspace } from "bettertest";
          stage("Build", {
            compile: () => run("${first.url}", "none", "touch ${go}/built; until test -e ${go}/edited; do sleep 0.05; done; echo built > out.txt",
              { source: workspace(), artifacts: "out.txt" }),
          });
          stage("Test", {
            over: () => run("${second.url}", "none", "cat code.txt big.txt out.txt",
              { source: artifacts("Build.compile", { over: workspace() }) }),
          });`,
      },
    });
    const ended = rig.run();
    await eventually(() => existsSync(join(go, "built")));
    rig.write("code.txt", "late\n");
    rig.write("big.txt", big.toUpperCase());
    writeFileSync(join(go, "edited"), "");
    const run = await ended;
    assert.equal(run.status, "passed", JSON.stringify(run));
    const output = await rig.output(run.id, "Test", "over");
    assert.ok(output === `early\n${big}built\n`, output.slice(0, 100));
  } finally {
    await first.stop();
    await second.stop();
    rmSync(go, { recursive: true });
  }
});
