import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunCreated, RunEvent } from "../../src/model/events.js";
import { GrowingRun } from "../../src/model/growing-run.js";
import { applyEvent, newRun } from "../../src/model/run.js";

const created: RunCreated = {
  type: "run-created",
  at: 0,
  pipelineName: "p",
  pipedef: "/p.ts",
  keepGoing: false,
  trigger: "test",
};
const tasks = [{ name: "a" }, { name: "b" }];
const a = { stage: "unit", task: "a", attempt: 1 };
const b = { stage: "unit", task: "b", attempt: 1 };
const story: RunEvent[] = [
  {
    type: "run-loaded",
    at: 1,
    pipeline: { stages: [{ name: "unit", always: false, tasks }], warnings: [] },
  },
  { type: "stage-started", at: 2, stage: "unit" },
  { type: "task-queued", at: 3, stage: "unit", task: "a" },
  { type: "task-queued", at: 3, stage: "unit", task: "b" },
  { type: "attempt-started", at: 4, ...a },
  { type: "attempt-started", at: 5, ...b },
  { type: "attempt-finished", at: 6, ...a, end: { status: "passed" }, output: { bytes: 3 } },
  { type: "attempt-finished", at: 7, ...b, end: { status: "passed" } },
  { type: "stage-finished", at: 8, stage: "unit" },
  { type: "run-finished", at: 9, verdict: "passed" },
];

test("it is the fold of its events, and what it has shown stays as it was", () => {
  for (let looks = 0; looks < 2 ** story.length; looks += 1) {
    const growing = new GrowingRun(newRun(1, created));
    let expected = newRun(1, created);
    const shown: [unknown, unknown][] = [];
    story.forEach((event, index) => {
      growing.apply(event);
      expected = applyEvent(expected, event);
      if (looks & (1 << index)) shown.push([growing.now(), expected]);
    });
    shown.push([growing.now(), expected]);
    for (const [now, then] of shown) assert.deepEqual(now, then);
    assert.equal(growing.hasEnded, true);
  }
});
