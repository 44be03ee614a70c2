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

test("a suite that fails by itself, though all in it passed, is red", () => {
  const report = readReport("    ok 1 - inner\n    1..1\nnot ok 1 - after hook\n1..1\n");
  assert.deepEqual(glanceAt(report), ["passed |  | inner", "failed |  | after hook"]);
});
