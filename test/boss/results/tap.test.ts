import assert from "node:assert/strict";
import { test } from "node:test";
import { glanceAt, readReport } from "./read.js";

test("TAP 14 with subtests, YAML, skip and todo", () => {
  const report = readReport(`TAP version 14
1..5
ok 1 - plain # time=3ms
not ok 2 - red \\# one
  ---
  message: "not as it should be"
  at:
    file: test/a.js
    line: 7
  stack: |
    a
    b
  ...
ok 3 - later # SKIP no network
not ok 4 - some day # TODO write it
# Subtest: group
    ok 1 - inner
    not ok 2 - inner red
    # Subtest: deeper
        ok 1 - deepest
        1..1
    ok 3 - deeper
    1..3
not ok 5 - group
`);
  assert.equal(report.problem, null);
  assert.deepEqual(glanceAt(report), [
    "passed |  | plain",
    "failed |  | red # one | test/a.js:7 | not as it should be",
    "skipped |  | later | no network",
    "skipped |  | some day | write it",
    "passed | group | inner",
    "failed | group | inner red",
    "passed | group › deeper | deepest",
  ]);
});

test("tests that were planned and did not come, and a bail out, are red", () => {
  const short = readReport("1..3\nok 1\n");
  assert.deepEqual(glanceAt(short), [
    "passed |  | (no name)",
    "failed |  | plan | 3 tests were planned, and 1 are in the report",
  ]);
  const bailed = readReport("TAP version 13\nok 1 - a\nBail out! no database\nok 2 - b\n");
  assert.deepEqual(glanceAt(bailed), ["passed |  | a", "failed |  | Bail out! | no database"]);
});

test("details that have lost their end, or are none, hide no red test", () => {
  const cut = readReport("not ok 1 - a\n  ---\n  error: no\nok 2 - b\nnot ok 3 - c\n1..3\n");
  assert.deepEqual(glanceAt(cut), ["failed |  | a | no", "passed |  | b", "failed |  | c"]);
  const printed = readReport("ok 1 - a\n---\nnot ok 2 - b\n1..2\n");
  assert.deepEqual(glanceAt(printed), ["passed |  | a", "failed |  | b"]);
});

test("details without an end hide no red test that is indented deeper", () => {
  const nested = readReport(
    "not ok 1 - a\n  ---\n  error: no\n# Subtest: b\n    not ok 1 - c\n      ---\n      error: c is red\n      ...\n    1..1\nnot ok 2 - b\n1..2\n",
  );
  assert.deepEqual(glanceAt(nested), ["failed |  | a | no", "failed | b | c | c is red"]);
  const last = readReport(
    "1..2\nok 1 - a\n  ---\n  duration_ms: 3\n    not ok 1 - b\n    1..1\nnot ok 2 - c\n",
  );
  assert.deepEqual(glanceAt(last), ["passed |  | a", "failed |  | b"]);
  assert.equal(last.tests[0]!.ms, 3);
  const end = readReport("1..1\nok 1 - a\n  ---\n  duration_ms: 3\n    not ok 1 - b\n");
  assert.deepEqual(glanceAt(end), ["passed |  | a", "failed |  | b"]);
});

test("details with an end may quote another report", () => {
  const quoted = readReport(
    "not ok 1 - a\n  ---\n  error: |-\n    TAP version 13\n    not ok 1 - b\n    1..7\n  ...\n1..1\n",
  );
  assert.deepEqual(glanceAt(quoted), ["failed |  | a | TAP version 13\nnot ok 1 - b\n1..7"]);
});

test("details are looked through for tests only so far, and fast", () => {
  const lines = "    ok 1 - b\n".repeat(100_000);
  const { tests } = readReport(`1..2\nok 1 - a\n  ---\n${lines}not ok 2 - c\n`);
  assert.equal(tests.length, 100_002);
  const deep = Array.from({ length: 600 }, (_, at) => {
    const indent = " ".repeat(at + 1);
    return `${indent}ok 1 - b\n${indent}---\n`;
  });
  readReport(`ok 1 - a\n${deep.join("")}`);
});

test("a report without a plan may have been cut off, and is red", () => {
  const cut = readReport("ok 1 - a\nok 2 - b\n");
  assert.deepEqual(glanceAt(cut), [
    "passed |  | a",
    "passed |  | b",
    "failed |  | plan | there is no plan, so the report may be cut off after 2 tests",
  ]);
  const nested = readReport("TAP version 13\n# Subtest: g\n    ok 1 - a\n    1..1\n");
  assert.deepEqual(glanceAt(nested), [
    "passed | g | a",
    "failed |  | plan | there is no plan, so the report may be cut off after 0 tests",
  ]);
  assert.equal(cut.problem, null);
});

test("a report without tests is no report that is cut off, or says why it may be", () => {
  for (const plan of ["1..0\n# tests 0", "1..0 # SKIP no database", "1..0 Skipped: no database"]) {
    const report = readReport(`TAP version 13\n${plan}\n`);
    assert.deepEqual([report.tests, report.problem], [[], null]);
  }
  const begun = readReport("TAP version 13\n");
  assert.deepEqual(begun.tests, []);
  assert.equal(begun.problem, "it ends before its first test and has no plan");
});

test("the plan of a subtest counts, whether it comes first or last", () => {
  for (const [first, last] of [
    ["    1..3\n", ""],
    ["", "    1..3\n"],
  ]) {
    const report = readReport(`# Subtest: g\n${first}    ok 1 - a\n${last}ok 1 - g\n1..1\n`);
    assert.deepEqual(glanceAt(report), [
      "passed | g | a",
      "failed | g | plan | 3 tests were planned, and 1 are in the report",
    ]);
  }
  // As vitest nests, and what is known to be unfinished.
  const others = readReport(
    "1..3\nok 1 - a.test.js {\n    1..2\n    ok 1 - a\n    ok 2 - b\n}\n    1..2\nnot ok 2 - c # TODO\nok 3 - d {\n    1..1\n}\n",
  );
  assert.deepEqual(
    others.tests.filter(({ verdict }) => verdict === "failed").map(({ name }) => name),
    ["plan"],
  );
});

test("a suite that fails by itself, though all in it passed, is red", () => {
  const report = readReport("    ok 1 - inner\n    1..1\nnot ok 1 - after hook\n1..1\n");
  assert.deepEqual(glanceAt(report), ["passed |  | inner", "failed |  | after hook"]);
});

test("a line of spaces without end is read as fast as any other", () => {
  // Each a quarter of a MiB: minutes, where every space began a search of its own.
  const spaces = " ".repeat(250_000);
  const report = readReport(`ok 1 - a${spaces}b\nok 2 - c # time=${spaces}x\n1..2\n`);
  assert.equal(report.problem, null);
  assert.equal(report.tests.length, 2);
});
