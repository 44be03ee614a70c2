import assert from "node:assert/strict";
import { test } from "node:test";
import { faultKinds, scheduleOf } from "./schedule.js";

const options = { lengthMs: 60_000, leaseMs: 6_000, kinds: faultKinds };

test("a seed replays, and others differ", () => {
  assert.deepEqual(scheduleOf(42, options), scheduleOf(42, options));
  assert.notDeepEqual(scheduleOf(42, options), scheduleOf(43, options));
});

test("every fault comes about, within the round, and none while it is still under way", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    const until = new Map<string, number>();
    for (const { kind, atMs, forMs } of scheduleOf(seed, options)) {
      assert.ok(atMs > 0 && atMs < options.lengthMs);
      assert.ok(forMs > 0 && forMs <= options.leaseMs * 2);
      assert.ok(atMs >= (until.get(kind) ?? 0));
      until.set(kind, atMs + forMs);
      seen.add(kind);
    }
  }
  assert.deepEqual([...seen].sort(), [...faultKinds].sort());
});

test("cuts are shorter and longer than the lease", () => {
  const cuts = Array.from({ length: 50 }, (_, seed) => scheduleOf(seed, options))
    .flat()
    .filter(({ kind }) => kind.startsWith("network"));
  assert.ok(cuts.some(({ forMs }) => forMs < options.leaseMs));
  assert.ok(cuts.some(({ forMs }) => forMs > options.leaseMs));
});
