// Red tasks that their author has tried again, in TypeScript and in Python, and how they are shown.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { attemptNote, eachTask, isFlaky, type Run } from "../../src/model/run.js";
import { cli, jsonLines, tempRepo } from "../cli/rig.js";
import { startRig } from "../rig/rig.js";

/** Red until it has been started so often, as its ledger says. */
function redUntil(start: number, ledger: string): string {
  return `echo started >> ${ledger}; n=$(wc -l < ${ledger}); echo try $n; [ $n -ge ${start} ]`;
}

function shown(run: Run): string[] {
  return [...eachTask(run)].map(({ ref, task }) => {
    const ends = task.attempts.map(({ end }) => end?.status).join(", ");
    return `${ref.stage}.${ref.task}: ${ends}${isFlaky(task) ? " (flaky)" : ""}`;
  });
}

const typescript = (folder: string) => `
  import { run, Stage, stage } from "bettertest";
  const red = (start: number, name: string) =>
    run("any", ${JSON.stringify(redUntil(0, "LEDGER"))}.replace("-ge 0", "-ge " + start).replaceAll("LEDGER", "${folder}/" + name));
  export class Some extends Stage {
    static retries = { task_a: 1 };
    static task_a() { return red(2, "some-a"); }
    static task_b() { return red(2, "some-b"); }
  }
  export class All extends Stage {
    static retries = 2;
    static task_a() { return red(3, "all-a"); }
    static task_b() { return red(9, "all-b"); }
    static task_green() { return red(1, "all-green"); }
  }
  stage("calls")
    .task("twice", () => red(2, "calls-twice"), { retries: 2 })
    .task("thrown", () => { throw new Error("no"); }, { retries: 1 })
    .task("once", () => red(2, "calls-once"));`;

const wanted = [
  "Some.task_a: failed, passed (flaky)",
  "Some.task_b: failed",
  "All.task_a: failed, failed, passed (flaky)",
  "All.task_b: failed, failed, failed",
  "All.task_green: passed",
];

test("TypeScript: as often as the pipedef says, each attempt with its output", async () => {
  using repo = tempRepo({});
  await using rig = await startRig({
    files: { ".bettertest/pipedef.ts": typescript(repo.folder) },
  });
  const run = await rig.run({ keepGoing: true });
  assert.deepEqual(shown(run), [
    ...wanted,
    "calls.twice: failed, passed (flaky)",
    "calls.thrown: failed, failed",
    "calls.once: failed",
  ]);
  assert.equal(run.status, "failed");
  const notes = [...eachTask(run)].map(({ task }) => attemptNote(task));
  assert.deepEqual(notes.slice(0, 4), ["flaky, attempt 2", null, "flaky, attempt 3", "attempt 3"]);
  for (const attempt of [1, 2, 3]) {
    const path = `/api/runs/${run.id}/tasks/All/task_a/output?attempt=${attempt}`;
    assert.equal(await (await fetch(rig.url + path)).text(), `try ${attempt}\n`);
  }
});

test("Python: as often as the pipedef says", async () => {
  using repo = tempRepo({});
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.py": `
from bettertest import Stage, run

def red(start, name):
    ledger = ${JSON.stringify(repo.folder)} + "/" + name
    run("any", ${JSON.stringify(redUntil(0, "LEDGER"))}.replace("-ge 0", "-ge %d" % start).replace("LEDGER", ledger))

class Some(Stage):
    retries = {"task_a": 1}
    def task_a(): red(2, "some-a")
    def task_b(): red(2, "some-b")

class All(Stage):
    retries = 2
    def task_a(): red(3, "all-a")
    def task_b(self): red(9, "all-b")
    def task_green(): red(1, "all-green")
`,
    },
  });
  assert.deepEqual(shown(await rig.run({ keepGoing: true })), wanted);
});

test("the command line says which task is flaky, and ends with 0", async () => {
  using repo = tempRepo({
    ".bettertest/pipedef.ts": `
      import { run, stage } from "bettertest";
      stage("s").task("t", () => run("any", ${JSON.stringify(redUntil(2, "$LEDGER"))}, { env: { LEDGER: process.env.LEDGER! } }), { retries: 1 });`,
  });
  const args = ["run", "--executor", "process", "--allow-env", "LEDGER"];
  const ledger = (name: string) => ({ cwd: repo.folder, env: { LEDGER: join(repo.folder, name) } });
  const plain = await cli(args, ledger("plain"));
  assert.equal(plain.exitCode, 0, plain.stdout + plain.stderr);
  assert.match(
    plain.stdout,
    /again +t +exit code 1: .*\n.*try 1\n(.*\n)* +passed +t +flaky, attempt 2/,
  );
  assert.match(plain.stdout, /PASSED .*\n\n.*s\.t {2}flaky, attempt 2\n/);
  const json = await cli([...args, "--json"], ledger("json"));
  const result = jsonLines(json.stdout).at(-1);
  assert.deepEqual(result?.flaky, [{ stage: "s", task: "t", attempts: 2 }]);
});

for (const [what, line] of [
  ["a word", `static retries = "often";`],
  ["a negative number", "static retries = -1;"],
  ["a fraction for one task", "static retries = { task_a: 0.5 };"],
] as const) {
  test(`retries that are ${what} are refused`, async () => {
    using repo = tempRepo({
      ".bettertest/pipedef.ts": `import { Stage } from "bettertest";
        export class A extends Stage { ${line} static task_a() {} }`,
    });
    const { exitCode, stderr } = await cli(["check", "--no-types"], { cwd: repo.folder });
    assert.equal(exitCode, 2);
    assert.match(stderr, /stage A: retries of task_a must be a whole number from 0 to 100/);
  });
}
