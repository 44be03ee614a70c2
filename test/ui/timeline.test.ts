import assert from "node:assert/strict";
import { test } from "node:test";
import { timelineOf } from "../../ui/views/timeline-lanes.js";
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
