// Every kind of file a pipedef can be, and the order of what it defines.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadResult } from "../../../../runtime/host/host.js";
import { homes, makeRepo, openTestHost } from "./rig.js";

function names(result: LoadResult & { ok: true }): string[] {
  return result.pipeline.stages.map(
    ({ name, tasks }) => `${name}: ${tasks.map((task) => task.name).join(" ")}`,
  );
}

const esm =
  'import { Stage, run } from "bettertest"; export class A extends Stage { static task_a() { return run("img", "x"); } }';
const esmTyped =
  'import { Stage, run } from "bettertest"; export class A extends Stage { static task_a(): Promise<unknown> { return run("img", "x" as string); } }';
const cjs =
  'const { Stage, run } = require("bettertest"); exports.A = class A extends Stage { static task_a() { return run("img", "x"); } };';
const cts =
  'import { Stage, run } from "bettertest"; export class A extends Stage { static task_a(): unknown { return run("img", "x"); } }';
const awaits = "\nconst one: number = await Promise.resolve(1); if (one !== 1) throw new Error();";

const fakeInstallation = {
  "node_modules/bettertest/package.json": '{"name":"bettertest","main":"index.js"}',
  "node_modules/bettertest/index.js": 'throw new Error("the wrong installation")',
};

for (const home of homes) {
  test(`kinds of files, in a ${home}`, { concurrency: 2 }, async (t) => {
    const kinds: Record<string, string> = {
      "pipedef.ts": esmTyped + awaits,
      "pipedef.mts": esmTyped + awaits,
      "pipedef.cts": cts,
      "pipedef.js": `${esm}\nawait 0;`,
      "pipedef.mjs": `${esm}\nawait 0;`,
      "pipedef.cjs": cjs,
    };
    const surroundings = {
      "no package.json": {},
      "type module": { "package.json": '{"type":"module"}', ...fakeInstallation },
      "type commonjs": { "package.json": '{"type":"commonjs"}', ...fakeInstallation },
      "a tsconfig of another world": {
        "tsconfig.json":
          '{"compilerOptions":{"target":"es5","paths":{"bettertest":["./nowhere"]},"experimentalDecorators":true}} // broken {',
      },
    };
    const cases = Object.entries(kinds).flatMap(([name, source]) =>
      Object.entries(surroundings).map(([where, files]) => ({ name, source, where, files })),
    );
    // The plain ones too, where a package.json allows them.
    cases.push({
      name: "pipedef.js",
      source: cjs,
      where: "CommonJS without a package.json",
      files: {},
    });
    cases.push({ name: "pipedef.ts", source: cjs, where: "CommonJS in TypeScript", files: {} });
    await Promise.all(
      cases.map(({ name, source, where, files }) =>
        t.test(`${name}, ${where}`, async () => {
          await using repo = await makeRepo({ ...files, [`.bettertest/${name}`]: source });
          await using opened = await openTestHost(repo.path(`.bettertest/${name}`), { home });
          const result = await opened.load();
          assert.deepEqual(names(result), ["A: task_a"]);
          assert.equal(result.pipeline.stages[0]?.tasks[0]?.location?.file, `.bettertest/${name}`);
          assert.deepEqual(result.files, [repo.path(`.bettertest/${name}`)]);
          assert.equal((await opened.run("A.task_a")).end.status, "passed");
        }),
      ),
    );
  });
}

test("stages stand in the order of the source, whatever their kind and file", async () => {
  await using repo = await makeRepo({
    "pipedef.ts": `import { Stage, stage } from "bettertest";
export * from "./zuletzt.js";
export { Early as Renamed } from "./early.ts";
import { makeStage } from "./helper";
export class Zeta extends Stage { static task_b() {} static task_a() {} }
stage("middle", { one() {}, two: () => {} });
makeStage("made by a helper");
export const Beta = class extends Stage { task_x() {} };
for (const name of ["loop 1", "loop 2"]) stage(name).task("t", () => {});
export default class Alpha extends Stage { static task_z() {} }
`,
    "zuletzt.ts":
      'import { Stage } from "bettertest"; export class FromStar extends Stage { static task_s() {} }',
    "early.ts":
      'import { Stage } from "bettertest"; export class Early extends Stage { static task_e() {} }',
    "helper.ts":
      'import { stage } from "bettertest"; export function makeStage(name: string) { stage(name, { made() {} }); }',
  });
  await using opened = await openTestHost(repo.path("pipedef.ts"));
  const result = await opened.load();
  assert.deepEqual(names(result), [
    "FromStar: task_s",
    "Early: task_e",
    "Zeta: task_b task_a",
    "middle: one two",
    "made by a helper: made",
    "Beta: task_x",
    "loop 1: t",
    "loop 2: t",
    "Alpha: task_z",
  ]);
  assert.deepEqual(result.files.map((file) => file.slice(repo.root.length + 1)).sort(), [
    "early.ts",
    "helper.ts",
    "pipedef.ts",
    "zuletzt.ts",
  ]);
  assert.deepEqual(result.pipeline.warnings, []);
});

test("JSON, files beside it, packages of the repo, and `files` from the repo's root", async () => {
  await using repo = await makeRepo({
    ".bettertest/pipedef.ts": `import { Stage, files, stage } from "bettertest";
import { createRequire } from "node:module";
import settings from "./settings.json";
import again from "./settings.json" with { type: "json" };
import { helper } from "./lib/helper";
import { fromPackage } from "some-package";
const api = createRequire(import.meta.url)("bettertest");
export class One extends Stage { static task_same() {
  console.log(settings.name, again.name, helper(), fromPackage, api.Stage === Stage);
} }
const s = stage("files");
for (const file of files("test/**/*.test.{js,ts}")) s.task(file, () => {});
`,
    ".bettertest/settings.json": '{"name": "from JSON"}',
    ".bettertest/lib/helper.ts":
      'import { deep } from "./deep.js"; export const helper = (): string => deep;',
    ".bettertest/lib/deep.ts": 'export const deep: string = "deep";',
    "node_modules/some-package/package.json":
      '{"name":"some-package","type":"module","exports":"./index.js"}',
    "node_modules/some-package/index.js": 'export const fromPackage = "package";',
    "test/b.test.ts": "",
    "test/a/a.test.js": "",
    "test/a/helper.js": "",
    "test/node_modules/x.test.js": "",
  });
  await using opened = await openTestHost(repo.path(".bettertest/pipedef.ts"));
  const result = await opened.load();
  assert.deepEqual(names(result), ["One: task_same", "files: test/a/a.test.js test/b.test.ts"]);
  assert.equal(
    (await opened.run("One.task_same")).output,
    "from JSON from JSON deep package true\n",
  );
  assert.equal(opened.loadOutput(), "");
  assert.deepEqual(result.files.map((file) => file.slice(repo.root.length + 1)).sort(), [
    ".bettertest/lib/deep.ts",
    ".bettertest/lib/helper.ts",
    ".bettertest/pipedef.ts",
    ".bettertest/settings.json",
  ]);
});

test("inherited tasks, stages that always run, and warnings of what would not run", async () => {
  await using repo = await makeRepo({
    "pipedef.ts": `import { Stage, stage } from "bettertest";
abstract class Base extends Stage { static task_shared() { console.log(this.name); } }
export class First extends Base { static task_own() {} }
export class Second extends Base { static always = true; static task_shared() { super.task_shared(); } }
class Forgotten extends Stage { static task_never() {} }
const Unnamed = class extends Stage { static task_never() {} };
class NoTasks extends Stage { static helper() {} }
export class Empty extends Stage {}
stage("nothing in it");
export const text = \`
class NotReally extends Stage {
\`;
`,
  });
  await using opened = await openTestHost(repo.path("pipedef.ts"));
  const { pipeline } = await opened.load();
  assert.deepEqual(
    pipeline.stages.map(({ name, always, tasks }) => [
      name,
      always,
      tasks.map((task) => task.name),
    ]),
    [
      ["First", false, ["task_shared", "task_own"]],
      ["Second", true, ["task_shared"]],
    ],
  );
  assert.equal((await opened.run("Second.task_shared")).output, "Second\n");
  assert.deepEqual(pipeline.warnings, [
    "pipedef.ts:8: stage Empty has no task, so nothing of it runs",
    "pipedef.ts:9: stage nothing in it has no task, so nothing of it runs",
    "pipedef.ts:5: class Forgotten extends Stage but is not exported by the pipedef, so none of its tasks runs",
    "pipedef.ts:6: class Unnamed extends Stage but is not exported by the pipedef, so none of its tasks runs",
  ]);
});

test("what it prints while it loads is told apart, and no task runs", async () => {
  await using repo = await makeRepo({
    "pipedef.mjs": `import { Stage } from "bettertest"; console.log("loading");
export class A extends Stage { static task_a() { console.log("a task"); } }`,
  });
  await using opened = await openTestHost(repo.path("pipedef.mjs"));
  await opened.load();
  assert.equal(opened.loadOutput(), "loading\n");
});

test("a saved file is another pipedef for the next host", async () => {
  await using repo = await makeRepo({
    "pipedef.ts":
      'import { Stage } from "bettertest"; import { n } from "./n.ts"; export class A extends Stage { static task_a() { console.log(n); } }',
    "n.ts": "export const n = 1;",
  });
  for (const n of [1, 2, 3]) {
    await repo.write("n.ts", `export const n = ${n};`);
    await using opened = await openTestHost(repo.path("pipedef.ts"));
    await opened.load();
    assert.equal((await opened.run("A.task_a")).output, `${n}\n`);
  }
});

test("what a pipedef has patched itself stays, whatever is loaded for it afterwards", async () => {
  await using repo = await makeRepo({
    "pipedef.ts": `import { Stage } from "bettertest";
      import Module, { createRequire } from "node:module";
      const original = Reflect.get(Module, "_resolveFilename");
      let asked = 0;
      Reflect.set(Module, "_resolveFilename", function (...given) {
        asked += 1;
        return Reflect.apply(original, this, given);
      });
      const require = createRequire(import.meta.url);
      const sum = require("./one.ts").n + require("./two.cjs").n;
      export class A extends Stage { static task_a() { console.log(sum, asked >= 2); } }`,
    "one.ts": "export const n: number = 1;",
    "two.cjs": "exports.n = 2;",
  });
  for (const home of homes) {
    await using opened = await openTestHost(repo.path("pipedef.ts"), { home });
    await opened.load();
    assert.equal((await opened.run("A.task_a")).output, "3 true\n");
  }
});

test("a folder with a name full of traps", async () => {
  await using repo = await makeRepo({
    "a b#c%20d (e)/pipedef.ts":
      'import { Stage } from "bettertest";\nexport class A extends Stage { static task_a() { throw new Error("here"); } }',
  });
  await using opened = await openTestHost(repo.path("a b#c%20d (e)/pipedef.ts"));
  const { pipeline } = await opened.load();
  assert.deepEqual(pipeline.stages[0]?.tasks[0]?.location, {
    file: "pipedef.ts",
    line: 2,
    column: 39,
  });
  assert.match((await opened.run("A.task_a")).output, /pipedef\.ts:2:\d+/);
});
