import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { diffLines } from "../../../src/boss/output/line-diff.js";
import { withoutTimes } from "../../../src/boss/output/output-diff.js";

const codes = (text: string) => [...text].map((char) => char.charCodeAt(0));
const diff = (left: string, right: string) => diffLines(codes(left), codes(right));

test("what was put in, taken out and changed", () => {
  assert.deepEqual(diff("abc", "abc"), []);
  assert.deepEqual(diff("abc", "abXc"), [[2, 0, 2, 1]]);
  assert.deepEqual(diff("abXc", "abc"), [[2, 1, 2, 0]]);
  assert.deepEqual(diff("abXc", "abYZc"), [[2, 1, 2, 2]]);
  assert.deepEqual(diff("", "ab"), [[0, 0, 0, 2]]);
  assert.deepEqual(diff("aXbYc", "abc"), [
    [1, 1, 1, 0],
    [3, 1, 2, 0],
  ]);
});

test("whatever differs, the hunks turn the one into the other", () => {
  const lines = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 60 });
  fc.assert(
    fc.property(lines, lines, (left, right) => {
      const result: number[] = [];
      let at = 0;
      for (const [a, aCount, b, bCount] of diffLines(left, right)) {
        assert.ok(a >= at && aCount + bCount > 0);
        result.push(...left.slice(at, a));
        assert.equal(result.length, b);
        result.push(...right.slice(b, b + bCount));
        at = a + aCount;
      }
      result.push(...left.slice(at));
      assert.deepEqual(result, right);
    }),
    { numRuns: 2000 },
  );
});

test("half a million lines without anything in common are compared at once", () => {
  const left = Array.from({ length: 500_000 }, (_, i) => i % 1000);
  const right = Array.from({ length: 500_000 }, (_, i) => 1000 + (i % 1000));
  const startedAt = performance.now();
  assert.deepEqual(diffLines(left, right), [[0, 500_000, 0, 500_000]]);
  assert.ok(performance.now() - startedAt < 10_000);
});

test("times, durations and addresses count as equal", () => {
  const same = (a: string, b: string) => assert.equal(withoutTimes(a), withoutTimes(b));
  same("2026-01-01T10:00:00.123Z ok", "2025-12-31T09:59:59Z ok");
  same("[10:00:01] done in 3.2s", "[23:59:59] done in 12.75s");
  same("passed (120 ms) at 0x7fffa1b2", "passed (3 ms) at 0x00001234");
  assert.notEqual(withoutTimes("3 tests passed"), withoutTimes("4 tests passed"));
});
