import assert from "node:assert/strict";
import { test } from "node:test";
import { criticalPath, timelineOf } from "../../ui/views/timeline-lanes.js";
import { tellRun } from "./run-story.js";

test("each attempt lies in the first free lane of its worker", () => {
  const run = tellRun([
    { stage: "a", task: "one", from: 0, to: 100, worker: "w1" },
    { stage: "a", task: "two", from: 10, to: 50, worker: "w1" },
    { stage: "a", task: "three", from: 60, to: 90, worker: "w1" },
    { stage: "a", task: "four", from: 0, to: 40, worker: "w2" },
  ]);
  const { bars, lanes } = timelineOf(run, 200);
  assert.deepEqual(lanes, ["w1", "w1", "w2"]);
  const laneOf = Object.fromEntries(bars.map(({ ref, lane }) => [ref.task, lane]));
  assert.deepEqual(laneOf, { one: 0, two: 1, three: 1, four: 2 });
});

test("the critical path goes back from the end, over slots and stages", () => {
  const run = tellRun(
    [
      { stage: "a", task: "long", from: 0, to: 100 },
      { stage: "a", task: "short", from: 0, to: 30 },
      { stage: "b", task: "first", from: 102, to: 150 },
      { stage: "b", task: "other", from: 102, to: 140 },
      { stage: "b", task: "last", from: 151, to: 300 },
    ],
    { end: 300 },
  );
  const { critical, stages, from, to } = timelineOf(run, 999);
  assert.deepEqual(
    critical.map(({ ref }) => ref.task),
    ["long", "first", "last"],
  );
  assert.deepEqual(stages, [
    { name: "a", from: 0, to: 100 },
    { name: "b", from: 102, to: 300 },
  ]);
  assert.deepEqual([from, to], [0, 300]);
});

test("of two that ended together, the next one waited for that of its own slot", () => {
  const run = tellRun([
    { stage: "a", task: "mine", from: 0, to: 99 },
    { stage: "a", task: "near", from: 1, to: 101 },
    { stage: "a", task: "next", from: 100, to: 200 },
  ]);
  const { critical } = timelineOf(run, 300);
  assert.deepEqual(
    critical.map(({ ref }) => ref.task),
    ["mine", "next"],
  );
});

test("what still runs reaches until now", () => {
  const run = tellRun([{ stage: "a", task: "one", from: 10 }]);
  const { bars, to } = timelineOf(run, 500);
  assert.deepEqual([bars[0]?.status, bars[0]?.to, to], ["running", 500, 500]);
});

test("a retry waited for the attempt before it, wherever that ran", () => {
  const run = tellRun([
    { stage: "a", task: "flaky", from: 0, to: 100, worker: "w1", attempt: 1 },
    { stage: "a", task: "near", from: 10, to: 108, worker: "w2" },
    { stage: "a", task: "flaky", from: 110, to: 200, worker: "w2", attempt: 2 },
  ]);
  assert.deepEqual(
    timelineOf(run, 300).critical.map(({ ref, attempt }) => `${ref.task} ${attempt}`),
    ["flaky 1", "flaky 2"],
  );
});

/** How often the path looks at a bar, with `count` tasks on four slots of which every tenth was retried. */
function looksAt(count: number): number {
  let looks = 0;
  const bars = Array.from({ length: count }, (_, n) => {
    const at = Math.floor(n / 4) * 10 + (n % 4);
    const isRetried = n % 10 === 0;
    const attempt = n % 10 === 4 ? 2 : 1;
    const plain = {
      attempt,
      attempts: isRetried || attempt === 2 ? 2 : 1,
      status: "passed",
    } as const;
    return new Proxy(
      {
        ...plain,
        ref: { stage: "s", task: `t${attempt === 2 ? n - 4 : n}` },
        from: at,
        to: at + 9,
        worker: "w",
        lane: n % 4,
      },
      {
        get(bar, name) {
          looks += 1;
          return Reflect.get(bar, name);
        },
      },
    );
  });
  // Sorting alone looks at each some log2(n) times.
  assert.ok(criticalPath(bars).length > count / 8);
  return looks;
}

test("four times as many tasks are no more than about four times the work", () => {
  const [some, many] = [looksAt(2000), looksAt(8000)];
  assert.ok(many < 6 * some, `${some} looks at 2,000 bars, ${many} at 8,000`);
});
