import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { cli, pipedefOf, tempRepo } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";

suite("check", () => {
  test("prints stages and tasks with their places, and runs nothing", async () => {
    using repo = tempRepo({
      [pipedef]: pipedefOf({ A: { one: "true", two: "true" }, B: { three: "true" } }),
    });
    const { exitCode, stdout, stderr } = await cli(["check"], { cwd: repo.folder });
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.equal(
      stdout,
      [
        ".bettertest/pipedef.ts  2 stages, 3 tasks",
        "",
        "A",
        "  task_one    .bettertest/pipedef.ts:3",
        "  task_two    .bettertest/pipedef.ts:4",
        "",
        "B",
        "  task_three  .bettertest/pipedef.ts:7",
        "",
      ].join("\n"),
    );
  });

  test("a type error is an error, with its place, without any node_modules", async () => {
    using repo = tempRepo({
      [pipedef]: `import { readFileSync } from "node:fs";
import { run, Stage } from "bettertest";
export class A extends Stage {
  static task_a() { return run("image", 5); }
  static task_b() { const text: number = readFileSync("x", "utf8"); return run("image", String(text)); }
}
`,
    });
    const { exitCode, stderr } = await cli(["check"], { cwd: repo.folder });
    assert.equal(exitCode, 2);
    assert.match(stderr, /^\n2 type errors\n/);
    assert.match(stderr, /\.bettertest\/pipedef\.ts:4:\d+: .*\n[\s\S]*4 \| {3}static task_a/);
    assert.match(stderr, /:5:27: Type 'string' is not assignable to type 'number'\. \(TS2322\)/);
    assert.equal((await cli(["check", "--no-types"], { cwd: repo.folder })).exitCode, 0);
  });

  test("the author's own tsconfig counts", async () => {
    using repo = tempRepo({
      [pipedef]: `import { stage } from "bettertest";
const same = (x) => x;
stage("A", { a: () => same(1) });
`,
      ".bettertest/tsconfig.json": '{ "compilerOptions": { "strict": false } }',
    });
    const relaxed = await cli(["check"], { cwd: repo.folder });
    assert.equal(relaxed.exitCode, 0, relaxed.stderr);
    repo.write(".bettertest/tsconfig.json", '{ "compilerOptions": { "strict": true } }');
    assert.equal((await cli(["check"], { cwd: repo.folder })).exitCode, 2);
  });

  test("--json says the same for machines", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { one: "true" } }) });
    const good = await cli(["check", "--json"], { cwd: repo.folder });
    const report = JSON.parse(good.stdout);
    assert.deepEqual(
      [report.schema, report.ok, report.problem, report.typesChecked],
      [1, true, null, true],
    );
    assert.equal(report.stages[0].tasks[0].name, "task_one");

    repo.write(pipedef, 'import "./missing.js";\n');
    const bad = await cli(["check", "--json"], { cwd: repo.folder });
    assert.equal(bad.exitCode, 2);
    const { ok, problem } = JSON.parse(bad.stdout);
    assert.deepEqual([ok, problem.kind, problem.location.line], [false, "import", 1]);
  });

  test("Python and JavaScript pipedefs are loaded", async () => {
    const python = "from bettertest import Stage\nclass A(Stage):\n    def task_a(): pass\n";
    using repo = tempRepo({ "p.py": python, "p.mjs": pipedefOf({ B: { b: "true" } }) });
    for (const name of ["p.py", "p.mjs"]) {
      const { exitCode, stdout, stderr } = await cli(["check", name], { cwd: repo.folder });
      assert.equal(exitCode, 0, stderr);
      assert.match(stdout, /1 stage, 1 task/);
    }
  });
});
