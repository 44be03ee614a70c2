// A broken pipedef gives one clear problem with its place, and every file it got to.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { PipedefProblem } from "../../../../runtime/host/host.js";
import { describeProblem } from "../../../../runtime/host/problem.js";
import { homes, makeRepo, openTestHost } from "./rig.js";

interface Broken {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly kind: PipedefProblem["kind"];
  /** "file:line:column: message", the source line, the caret. */
  readonly says: RegExp;
  /** Files that must be watched for the repair, beside the pipedef. */
  readonly watched?: readonly string[];
  readonly stallTimeoutMs?: number;
}

const head = 'import { run, Stage, stage } from "bettertest";\n';
const good = "export class Good extends Stage { static task_a() {} }\n";

const cases: Broken[] = [
  {
    name: "syntax",
    files: {
      "pipedef.ts": `${head}export class A extends Stage {\n  static task_a() { return run("img" "x"); }\n}\n`,
    },
    kind: "syntax",
    says: /^pipedef\.ts:3:38: Expected "\)" but found "\\"x\\""\n {2}3 \| {3}static task_a\(\) .*\n {4}\| {38}\^/,
  },
  {
    name: "syntax in a file it imports",
    files: {
      "pipedef.ts": `${head}import "./helper";\n${good}`,
      "helper.ts": "export const = 1;\n",
    },
    kind: "syntax",
    says: /^helper\.ts:1:14: Expected identifier but found "="\n {2}1 \| export const = 1;\n/,
    watched: ["helper.ts"],
  },
  {
    name: "syntax in CommonJS",
    files: {
      "pipedef.cjs": 'const { Stage } = require("bettertest");\nexports.A = class extends {\n',
    },
    kind: "syntax",
    says: /^pipedef\.cjs:2:27: |^pipedef\.cjs:3:1: /,
  },
  {
    name: "syntax in a required file of TypeScript",
    files: {
      "pipedef.cts": 'import { helper } from "./helper.cts";\nhelper();\n',
      "helper.cts": "let x: = 1;\n",
    },
    kind: "syntax",
    says: /^helper\.cts:1:8: /,
    watched: ["helper.cts"],
  },
  {
    name: "missing file",
    files: { "pipedef.ts": `${head}// from "./gone"\nimport { x } from "./gone";\nx();\n${good}` },
    kind: "import",
    says: /^pipedef\.ts:3:19: cannot find the file "\.\/gone"\n {2}3 \| import \{ x \} from "\.\/gone";\n {4}\| {19}\^/,
  },
  {
    name: "missing package",
    files: { "pipedef.ts": `${head}import x from "@scope/gone/deep";\nx();\n${good}` },
    kind: "import",
    says: /^pipedef\.ts:2:15: cannot find the package "@scope\/gone\/deep"\n(.|\n)*npm install @scope\/gone\)/,
  },
  {
    name: "missing in CommonJS",
    files: { "pipedef.cjs": `const x = require("./gone");\n` },
    kind: "import",
    says: /^pipedef\.cjs:1:19: cannot find the file "\.\/gone"/,
  },
  {
    name: "an import that is not exported",
    files: {
      "pipedef.ts": `${head}import { nothing } from "./helper.ts";\nnothing();\n${good}`,
      "helper.ts": "export const x = 1;\n",
    },
    kind: "import",
    says: /^pipedef\.ts:2:25: the file "\.\/helper\.ts" exports nothing named nothing\n {2}2 \| import/,
    watched: ["helper.ts"],
  },
  {
    name: "throws at load",
    files: {
      "pipedef.ts": `${head}import { helper } from "./helper";\n\n\n  helper();\n${good}`,
      "helper.ts":
        'export function helper(): never {\n  throw new TypeError("not like this");\n}\n',
    },
    kind: "threw",
    says: /^helper\.ts:2:9: TypeError: not like this\n {2}2 \| {3}throw new TypeError\("not like this"\);\n {4}\| {9}\^\nTypeError: not like this\n {4}at .*helper\.ts:2:9\)?\n {4}at .*pipedef\.ts:5:3/,
    watched: ["helper.ts"],
  },
  {
    name: "throws no Error",
    files: { "pipedef.ts": `${head}throw "a text";\n` },
    kind: "threw",
    says: /^pipedef\.ts:2:1: threw a text\n {2}2 \| throw "a text";\n {4}\| \^/,
  },
  {
    name: "throws no Error in a file it imports, and not in words of the source",
    files: {
      "pipedef.ts": `${head}import "./helper";\n// throw nothing\n${good}`,
      "helper.ts": "const code = 40 + 2;\nif (code) throw { code };\n",
    },
    kind: "threw",
    says: /^helper\.ts:2:11: threw \{ code: 42 \}/,
    watched: ["helper.ts"],
  },
  {
    name: "run at load",
    files: { "pipedef.ts": `${head}\nawait run("img", "pytest");\n${good}` },
    kind: "threw",
    says: /^pipedef\.ts:3:7: run\("pytest"\) was called outside a task: loading a pipedef runs no command/,
  },
  {
    name: "process.exit at load",
    files: { "pipedef.ts": `${head}\nprocess.exit(1);\n${good}` },
    kind: "threw",
    says: /^pipedef\.ts:3:9: process\.exit\(1\) was called/,
  },
  {
    name: "a throw in a timer while it loads",
    files: {
      "pipedef.ts": `${head}setTimeout(() => {\n  throw new Error("later");\n}, 1);\nawait new Promise(() => {});\n`,
    },
    kind: "threw",
    says: /^pipedef\.ts:3:9: uncaught exception: later/,
  },
  {
    name: "an unhandled rejection while it loads",
    files: {
      "pipedef.ts": `${head}Promise.reject(new Error("lost"));\nawait new Promise(() => {});\n`,
    },
    kind: "threw",
    says: /^pipedef\.ts:2:16: unhandled rejection: lost/,
  },
  {
    name: "empty file",
    files: { "pipedef.ts": "" },
    kind: "empty",
    says: /^pipedef\.ts:1: the pipedef has no stage\n(.|\n)*Export a class that extends Stage/,
  },
  {
    name: "stages without a task",
    files: { "pipedef.ts": `${head}\nexport class A extends Stage { static helper() {} }\n` },
    kind: "empty",
    says: /^pipedef\.ts:3:8: stage A has no task/,
  },
  {
    name: "two stages of a name",
    files: {
      "pipedef.ts": `${head}export class A extends Stage { static task_a() {} }\nstage("A", { x() {} });\n`,
    },
    kind: "duplicate",
    says: /^pipedef\.ts:3:1: two stages are named A \(the first is in line 2\)\n {2}3 \| stage\("A"/,
  },
  {
    name: "a method twice in a class",
    files: {
      "pipedef.ts": `${head}export class A extends Stage {\n  static task_a() {}\n  static task_a() {}\n}\n`,
    },
    kind: "duplicate",
    says: /^pipedef\.ts:4:10: task task_a is defined twice \(the first is in line 3\)\n {2}4 \| {3}static task_a\(\) \{\}\n {4}\| {10}\^/,
  },
  {
    name: "a static and an instance method of a name",
    files: {
      "pipedef.ts": `${head}export class A extends Stage {\n  static task_a() {}\n  task_a() {}\n}\n`,
    },
    kind: "duplicate",
    says: /^pipedef\.ts:4:3: stage A has two tasks named task_a \(the first is in line 3\)/,
  },
  {
    name: "a key twice in a stage's tasks",
    files: { "pipedef.ts": `${head}stage("unit", {\n  one() {},\n  one() {},\n});\n` },
    kind: "duplicate",
    says: /^pipedef\.ts:4:3: task one is defined twice \(the first is in line 3\)/,
  },
  {
    name: "a method twice in CommonJS",
    files: {
      "pipedef.cjs":
        'const { Stage } = require("bettertest");\nexports.A = class A extends Stage {\n  static task_a() {}\n  static task_a() {}\n};\n',
    },
    kind: "duplicate",
    says: /^pipedef\.cjs:4:10: task task_a is defined twice/,
  },
  {
    name: "a task twice by calls",
    files: {
      "pipedef.ts": `${head}const s = stage("unit");\ns.task("one", () => {});\ns.task("one", () => {});\n`,
    },
    kind: "duplicate",
    says: /^pipedef\.ts:4:\d+: stage unit has two tasks named one \(the first is in line 3\)/,
  },
  {
    name: "always that is no boolean",
    files: {
      "pipedef.ts": `${head}export class A extends Stage {\n  static always = "yes";\n  static task_a() {}\n}\n`,
    },
    kind: "threw",
    says: /^pipedef\.ts:2:8: stage A: always must be true or false/,
  },
  {
    name: "a task that is no function",
    files: { "pipedef.ts": `${head}stage("unit", { one: run as any, two: 2 as any });\n` },
    kind: "threw",
    says: /^pipedef\.ts:2:1: TypeError: task "two" of stage "unit" must be a function, not number/,
  },
  {
    name: "an endless loop at load",
    files: { "pipedef.ts": `${head}for (;;);\n` },
    kind: "stalled",
    says: /the pipedef's event loop stood still for 1\.0 s/,
    stallTimeoutMs: 1000,
  },
  {
    name: "a top-level await that never settles",
    files: { "pipedef.ts": `${head}\nawait new Promise(() => {});\n${good}` },
    kind: "stalled",
    says: /^pipedef\.ts:3:1: loading did not end within 1\.0 s/,
    stallTimeoutMs: 1000,
  },
  {
    name: "no such file",
    files: {},
    kind: "import",
    says: /^the pipedef cannot be read: ENOENT: no such file or directory/,
  },
];

for (const home of homes) {
  test(`broken pipedefs, in a ${home}`, { concurrency: 2 }, async (t) => {
    await Promise.all(
      cases.map(({ name, files, kind, says, watched = [], stallTimeoutMs = 10_000 }) =>
        t.test(name, async () => {
          await using repo = await makeRepo(files);
          const pipedef = Object.keys(files)[0] ?? "pipedef.ts";
          await using opened = await openTestHost(repo.path(pipedef), { home, stallTimeoutMs });
          const problem = await opened.problem();
          assert.match(describeProblem(problem), says);
          assert.equal(problem.kind, kind);
          for (const file of [pipedef, ...watched]) {
            assert.ok(
              problem.files.includes(repo.path(file)),
              `${file} is not among ${problem.files}`,
            );
          }
        }),
      ),
    );
  });
}
