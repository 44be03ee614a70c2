import assert from "node:assert/strict";
import { test } from "node:test";
import { Statistics } from "../../../src/boss/history/statistics.js";
import { createMemoryStore } from "../../../src/boss/store/memory.js";
import type { Store } from "../../../src/boss/store/store.js";
import type { TaskEnd } from "../../../src/model/failure.js";

const red: TaskEnd = { status: "failed", failure: { kind: "exit", command: "x", exitCode: 1 } };
const green: TaskEnd = { status: "passed" };

/** A run of one stage: each task with its end and milliseconds. */
function addRun(store: Store, tasks: Record<string, readonly [TaskEnd, number]>, name = "shop") {
  const id = store.nextRunId();
  store.append(id, {
    type: "run-created",
    at: 0,
    pipelineName: name,
    pipedef: "/p.ts",
    keepGoing: false,
    trigger: "test",
  });
  const names = Object.keys(tasks).map((task) => ({ name: task }));
  const stages = [{ name: "Unit", always: false, tasks: names }];
  store.append(id, { type: "run-loaded", at: 10, pipeline: { stages, warnings: [] } });
  let isRed = false;
  for (const [task, [end, ms]] of Object.entries(tasks)) {
    const attempt = { stage: "Unit", task, attempt: 1 };
    store.append(id, { type: "attempt-started", at: 10, ...attempt });
    store.append(id, { type: "attempt-finished", at: 10 + ms, ...attempt, end });
    isRed ||= end !== green;
  }
  const verdict = isRed ? "failed" : "passed";
  store.append(id, { type: "run-finished", at: 100 + id, verdict });
  return id;
}

test("tasks by runs, oldest first, with gaps where a task was not there", () => {
  const store = createMemoryStore();
  addRun(store, { a: [green, 10], b: [green, 20] });
  addRun(store, { other: [green, 1] }, "elsewhere");
  addRun(store, { a: [red, 30] });
  addRun(store, { a: [green, 12], c: [green, 5] });
  const { runs, tasks } = new Statistics(store).history("shop", { limit: 10 });
  assert.deepEqual(
    runs.map(({ id }) => id),
    [1, 3, 4],
  );
  assert.deepEqual(tasks.map(({ task, states, ms }) => [task, states, ms]).sort(), [
    ["a", "pfp", [10, 30, 12]],
    ["b", "p--", [20, null, null]],
    ["c", "--p", [null, null, 5]],
  ]);
});

test("no more runs than asked for, and none that still goes on", () => {
  const store = createMemoryStore();
  for (let count = 0; count < 4; count += 1) addRun(store, { a: [green, count] });
  const open = store.nextRunId();
  store.append(open, {
    type: "run-created",
    at: 0,
    pipelineName: "shop",
    pipedef: "/p.ts",
    keepGoing: false,
    trigger: "test",
  });
  const statistics = new Statistics(store);
  const { runs, tasks } = statistics.history("shop", { limit: 2 });
  assert.deepEqual(
    runs.map(({ id }) => id),
    [3, 4],
  );
  assert.equal(tasks[0]?.states, "pp");
  assert.deepEqual(
    statistics.history("shop", { limit: 2, before: 3 }).runs.map(({ id }) => id),
    [1, 2],
  );
});

test("the usual is the median of what passed; one slow run and red ones change nothing", () => {
  const store = createMemoryStore();
  for (const ms of [10, 11, 5000, 9, 12]) addRun(store, { a: [green, ms] });
  addRun(store, { a: [red, 1], never: [red, 3] });
  const { tasks, runMs } = new Statistics(store).usual("shop");
  assert.deepEqual(tasks, [{ stage: "Unit", task: "a", ms: 11 }]);
  assert.equal(runMs, 93, "of the five that passed");
});

test("how long tasks take lately, for the order of the next run", () => {
  const store = createMemoryStore();
  addRun(store, { a: [green, 1], gone: [green, 7] });
  addRun(store, { a: [green, 100], b: [red, 5] });
  addRun(store, { a: [green, 300], b: [green, 20] });
  addRun(store, { a: [green, 200], b: [red, 9] });
  const usualMs = new Statistics(store).usualMs("shop");
  assert.equal(usualMs("Unit", "a"), 200);
  assert.equal(usualMs("Unit", "b"), 20);
  assert.equal(usualMs("Unit", "gone"), undefined);
  assert.equal(usualMs("Unit", "never"), undefined);
});
