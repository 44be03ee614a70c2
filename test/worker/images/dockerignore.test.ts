import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDockerignore } from "../../../src/worker/images/dockerignore.js";

const cases: readonly (readonly [
  text: string,
  ignored: readonly string[],
  taken: readonly string[],
])[] = [
  ["", [], ["a", "a/b"]],
  ["# *\n\n  \n", [], ["a", "# *"]],
  // From the root, not anywhere as in a .gitignore.
  ["*.log\n", ["a.log"], ["sub/a.log"]],
  ["**/*.log\n", ["a.log", "sub/a.log", "a/b/c.log"], ["a.logs"]],
  ["node_modules\n", ["node_modules", "node_modules/a/b.js"], ["sub/node_modules/a"]],
  ["/build/\n./dist\n", ["build", "build/x", "dist/y"], ["a/build"]],
  ["*\n!src\n", ["a", "b/c"], ["src", "src/deep/x"]],
  [
    "docs\n!docs/*.md\ndocs/secret.md\n",
    ["docs/a.txt", "docs/secret.md", "docs/x/a.md"],
    ["docs/a.md"],
  ],
  ["!a\na\n", ["a"], ["b"]],
  ["a?c\n[x-z]1\n[^a]2\n", ["abc", "x1", "b2"], ["a/c", "w1", "a2"]],
  ["a/**\n", ["a/b", "a/b/c"], ["a"]],
  ["a/**/z\n", ["a/z", "a/b/c/z"], ["z", "a/zz"]],
  ["a/../b\n  c  \n", ["b", "c"], ["a"]],
  ["../a\nb/../../c\n!../d\n/../e\n", ["e"], ["a", "b", "c", "d"]],
  ["d\n!../d\n", ["d"], []],
  ["a\\*b\na(b)+.c\n", ["a*b", "a(b)+.c"], ["axb", "abb+.c"]],
  ["\uFEFFfirst\r\nsecond\r\n", ["first", "second"], ["third"]],
  ["[unclosed\n", ["[unclosed"], ["u"]],
  ["..\n.\n!\n", [], ["a", ".."]],
];

for (const [text, ignored, taken] of cases) {
  test(`${JSON.stringify(text)} leaves out ${ignored.join(", ") || "nothing"}`, () => {
    const isIgnored = parseDockerignore(text);
    assert.deepEqual(
      ignored.filter((path) => !isIgnored(path)),
      [],
    );
    assert.deepEqual(taken.filter(isIgnored), []);
  });
}
