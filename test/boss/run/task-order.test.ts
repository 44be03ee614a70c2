import assert from "node:assert/strict";
import { test } from "node:test";
import { longestFirst } from "../../../src/boss/run/task-order.js";

const stageOf = (...names: string[]) => ({
  name: "unit",
  always: false,
  tasks: names.map((name) => ({ name })),
});

test("longest first, those nobody knows before all, equals as in the source", () => {
  const usual = new Map([
    ["short", 10],
    ["long", 9000],
    ["also short", 10],
    ["middle", 400],
  ]);
  const stage = stageOf("short", "new", "long", "also short", "newer", "middle");
  const order = longestFirst(stage, (_, task) => usual.get(task)).map(
    (place) => stage.tasks[place]?.name,
  );
  assert.deepEqual(order, ["new", "newer", "long", "middle", "short", "also short"]);
});

test("without history the order is that of the source", () => {
  assert.deepEqual(
    longestFirst(stageOf("c", "a", "b"), () => undefined),
    [0, 1, 2],
  );
});
