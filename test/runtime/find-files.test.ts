import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { findFiles } from "../../runtime/find-files.js";

const root = mkdtempSync(join(tmpdir(), "bettertest-files-"));
after(() => rmSync(root, { recursive: true }));
for (const path of [
  "a.ts",
  "b.js",
  "b.test.js",
  "B.ts",
  "a+b.ts",
  ".hidden.ts",
  "src/one.ts",
  "src/deep/two.ts",
  "src/deep/three.tsx",
  "src/.secret/x.ts",
  "node_modules/p/x.ts",
  "src/node_modules/p/y.ts",
  ".git/z.ts",
  ".github/w.ts",
]) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), "");
}
symlinkSync("..", join(root, "src/circle"));
symlinkSync("one.ts", join(root, "src/linked.ts"));
symlinkSync("nowhere", join(root, "src/dangling.ts"));

const cases: [pattern: string, found: string[]][] = [
  ["*.ts", ["B.ts", "a+b.ts", "a.ts"]],
  ["?.ts", ["B.ts", "a.ts"]],
  ["a+b.ts", ["a+b.ts"]],
  ["./a.ts", ["a.ts"]],
  ["*.{js,ts}", ["B.ts", "a+b.ts", "a.ts", "b.js", "b.test.js"]],
  ["{a,b{,.test}}.{ts,js}", ["a.ts", "b.js", "b.test.js"]],
  ["**/*.ts", ["B.ts", "a+b.ts", "a.ts", "src/deep/two.ts", "src/linked.ts", "src/one.ts"]],
  ["src/**", ["src/deep/three.tsx", "src/deep/two.ts", "src/linked.ts", "src/one.ts"]],
  ["src/**/deep/*", ["src/deep/three.tsx", "src/deep/two.ts"]],
  ["**/**/two.ts", ["src/deep/two.ts"]],
  ["src/*", ["src/linked.ts", "src/one.ts"]],
  [".github/*", [".github/w.ts"]],
  [".*", [".hidden.ts"]],
  ["src", []],
  ["a.ts/x", []],
  ["nothing/*.ts", []],
];

for (const [pattern, found] of cases) {
  test(`files(${JSON.stringify(pattern)})`, () =>
    assert.deepEqual(findFiles(root, pattern), found));
}

test("patterns stay in the repo", () => {
  assert.throws(() => findFiles(root, "../*"), /leaves the repo/);
  assert.throws(() => findFiles(root, "/etc/*"), /leaves the repo/);
  assert.throws(() => findFiles(root, "{a,..}/*"), /must stay in the folder/);
});

test("a pattern that can mean no file is an error, not an empty list", () => {
  assert.throws(() => findFiles(root, "src/"), /files: "src\/" must name files, such as dist/);
  assert.throws(() => findFiles(root, "{a,b}".repeat(20)), /too many alternatives/);
});
