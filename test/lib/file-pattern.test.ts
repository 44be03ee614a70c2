import assert from "node:assert/strict";
import { test } from "node:test";
import { filePattern, patternProblem } from "../../src/lib/file-pattern.js";

test("patterns mean what they mean in files(...)", () => {
  const cases: [string, string, readonly string[], readonly string[]][] = [
    ["junit.xml", "junit.xml", ["junit.xml"], ["a/junit.xml", "junit.xml2", ".junit.xml"]],
    ["./out//*.xml", "out", ["out/a.xml"], ["out/.a.xml", "out/b/a.xml", "a.xml"]],
    ["dist/**", "dist", ["dist/a", "dist/b/c.js"], ["dist", "dist/.map", "dist/.b/c", "other/a"]],
    ["**/TEST-*.xml", "", ["TEST-a.xml", "a/b/TEST-.xml"], ["a/TEST-a.xml.gz", ".a/TEST-b.xml"]],
    ["a/**/b", "a", ["a/b", "a/x/b", "a/x/y/b"], ["a/x", "b"]],
    ["a.{js,{ts,tsx}}", "", ["a.js", "a.ts", "a.tsx"], ["a.", "a.jsx"]],
    [".nyc/*", ".nyc", [".nyc/x"], ["nyc/x"]],
    ["a?c", "", ["abc"], ["ac", "a/c", "abbc"]],
    ["{out,out}/x*", "out", ["out/xy"], ["x"]],
  ];
  for (const [text, home, yes, no] of cases) {
    assert.equal(patternProblem(text), null, text);
    const pattern = filePattern(text);
    assert.equal(pattern.home, home, text);
    for (const path of yes) assert.ok(pattern.matches(path), `${text}: ${path}`);
    for (const path of no) assert.ok(!pattern.matches(path), `${text}: not ${path}`);
  }
});

test("folders in which nothing can match need not be looked into", () => {
  const cases: [string, readonly string[], readonly string[]][] = [
    ["a/*.ts", ["a"], ["b", "a/b", "a.ts"]],
    ["a/**", ["a", "a/b/c"], ["b", "a/.git", ".a"]],
    ["**/x/*.ts", ["a", "x", "a/x/b"], [".x", "a/.b"]],
    ["{a,b}/c/*", ["a", "b", "a/c"], ["c", "a/b", "a/c/d"]],
    ["*.ts", [], ["a", "a.ts"]],
  ];
  for (const [text, yes, no] of cases) {
    const pattern = filePattern(text);
    for (const folder of yes) assert.ok(pattern.mayMatchIn(folder), `${text}: ${folder}`);
    for (const folder of no) assert.ok(!pattern.mayMatchIn(folder), `${text}: not ${folder}`);
  }
});

test("what leaves the folder is refused, also when braces hide it", () => {
  const leaving = ["/etc/passwd", "../a", "a/../b", "{.}./a", "{/etc,a}/b", "{a,..}/b"];
  for (const text of leaving) assert.match(patternProblem(text) ?? "", /must stay in the folder/);
  for (const text of ["", "a/", ".", "./", "a\0", "x".repeat(2000), "{a,}/"]) {
    assert.ok(patternProblem(text) !== null, JSON.stringify(text));
  }
  assert.match(patternProblem("{a,b}".repeat(20)) ?? "", /too many alternatives/);
});

test("a pattern made to be slow is not", () => {
  const name = "a".repeat(255);
  const pattern = filePattern(`${"*a".repeat(100)}b`);
  const deep = filePattern(`${"**/".repeat(300)}b`);
  const startedAt = performance.now();
  for (let n = 0; n < 100; n++) pattern.matches(name);
  deep.matches(Array.from({ length: 200 }, () => "a").join("/"));
  assert.ok(performance.now() - startedAt < 10_000);
});
