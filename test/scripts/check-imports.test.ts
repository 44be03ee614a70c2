import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";

/** Runs the checker over a tree of these files alone. */
function check(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-imports-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const { status, stderr } = spawnSync(process.execPath, ["scripts/check-imports.mjs", folder], {
      encoding: "utf8",
    });
    return { status, problems: stderr.trim().split("\n").filter(Boolean) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("this project's own imports obey the table", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/check-imports.mjs"], {
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  assert.equal(status, 0);
});

test("finds a forbidden import, with file and line", () => {
  const { status, problems } = check({
    "src/boss/scheduler.ts":
      '// first line\nimport { admit } from "../worker/admission.js";\nadmit();\n',
  });
  assert.deepEqual(problems, [
    "src/boss/scheduler.ts:2: src/boss must not import src/worker/admission.ts",
  ]);
  assert.equal(status, 1);
});

for (const [kind, source, target] of [
  [
    "a type",
    'import type { Run } from "../model/run.js";\nexport type R = Run;',
    "src/model/run.ts",
  ],
  [
    "an inline type",
    'import { type Run } from "../model/run.js";\nexport type R = Run;',
    "src/model/run.ts",
  ],
  ["an export", 'export * from "../model/run.js";', "src/model/run.ts"],
  ["a dynamic import", 'export const load = () => import("../boss/main.js");', "src/boss/main.ts"],
  ["a package", 'import yargs from "yargs";\nyargs();', "yargs"],
] as const) {
  test(`finds ${kind}`, () => {
    const { problems } = check({ "src/worker/app.ts": source });
    assert.deepEqual(problems, [`src/worker/app.ts:1: src/worker must not import ${target}`]);
  });
}

test("the model may not even use Node's built-ins, with or without the prefix", () => {
  const { problems } = check({
    "src/model/run.ts": 'import "node:fs";\n',
    "src/model/task.ts": 'import "fs";\n',
  });
  assert.deepEqual(problems.sort(), [
    "src/model/run.ts:1: src/model must not import node",
    "src/model/task.ts:1: src/model must not import node",
  ]);
});

test("a composition root may import anything; so may src/library.ts", () => {
  const source = 'import "../worker/main.js";\nimport "./store/memory.js";\nimport "yargs";\n';
  const { problems } = check({
    "src/boss/main.ts": source,
    "src/library.ts": 'import "./boss/main.js";',
  });
  assert.deepEqual(problems, []);
});

test("the page's main.tsx is no composition root: it runs in a browser", () => {
  const { problems } = check({ "ui/main.tsx": 'import "../src/wire/worker.js";\n' });
  assert.deepEqual(problems, ["ui/main.tsx:1: ui must not import src/wire/worker.ts"]);
});

test("finds a folder that is not in the table, and a stray file", () => {
  const { problems } = check({ "src/misc/a.ts": "export {};", "src/stray.ts": "export {};" });
  assert.equal(problems.filter((line) => line.startsWith("src/misc")).length, 2);
  assert.equal(problems.filter((line) => line.startsWith("src/stray.ts")).length, 1);
});

test("text that looks like an import is none", () => {
  const { problems } = check({
    "src/model/words.ts":
      'export const text = `\nimport { x } from "yargs";\n`;\n// import "yargs"\n',
  });
  assert.deepEqual(problems, []);
});
