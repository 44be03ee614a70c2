import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { RunCreated, RunEvent } from "../../src/model/events.js";
import type { Pipeline } from "../../src/model/pipeline.js";
import { applyEvent, newRun, type Run } from "../../src/model/run.js";
import { type FrameOptions, renderFrame } from "../../src/terminal/frame.js";
import { createStyle, wantsColour, wantsLiveView } from "../../src/terminal/style.js";
import { summaryLines } from "../../src/terminal/summary.js";
import { textWidth } from "../../src/terminal/text.js";

const created: RunCreated = {
  type: "run-created",
  at: 0,
  pipelineName: "shop",
  pipedef: ".bettertest/pipedef.ts",
  keepGoing: false,
  trigger: "test",
};

function pipelineOf(stages: Readonly<Record<string, number>>): Pipeline {
  return {
    warnings: [],
    stages: Object.entries(stages).map(([name, tasks]) => ({
      name,
      always: false,
      tasks: Array.from({ length: tasks }, (_, index) => ({ name: `task_${index}` })),
    })),
  };
}

function runOf(pipeline: Pipeline, events: readonly RunEvent[]): Run {
  const loaded: RunEvent = { type: "run-loaded", at: 0, pipeline };
  return [loaded, ...events].reduce(applyEvent, newRun(1, created));
}

const started = (stage: string, task: string, at = 1000): RunEvent => ({
  type: "attempt-started",
  stage,
  task,
  attempt: 1,
  at,
});
const passed = (stage: string, task: string, at = 2000): RunEvent => ({
  type: "attempt-finished",
  stage,
  task,
  attempt: 1,
  at,
  end: { status: "passed" },
});
const failed = (stage: string, task: string, message: string): RunEvent => ({
  type: "attempt-finished",
  stage,
  task,
  attempt: 1,
  at: 2000,
  end: { status: "failed", failure: { kind: "thrown", message } },
});

const options: FrameOptions = {
  style: createStyle(false),
  width: 60,
  height: 20,
  now: 4000,
  tick: 0,
  cancelling: false,
};

suite("the live frame", () => {
  test("a small run is shown whole", () => {
    const run = runOf(pipelineOf({ Build: 1, Test: 2 }), [
      { type: "stage-started", at: 1000, stage: "Build" },
      started("Build", "task_0"),
      passed("Build", "task_0"),
      { type: "stage-finished", at: 2000, stage: "Build" },
      { type: "stage-started", at: 2000, stage: "Test" },
      started("Test", "task_0", 2000),
      {
        type: "call-started",
        at: 2000,
        stage: "Test",
        task: "task_0",
        attempt: 1,
        call: 1,
        command: "pytest\n  -x",
        image: "i",
        worker: "w",
        sandbox: "s",
      },
    ]);
    assert.deepEqual(renderFrame(run, options), [
      "✓ Build     1 passed                                   1.0 s",
      "  ✓ task_0                                             1.0 s",
      "⠋ Test      0/2 · 1 running                            2.0 s",
      "  ⠋ task_0  pytest -x                                  2.0 s",
      "  · task_1",
      "",
      "⠋ ━━━━━─────────── 1 of 3 tasks · 1 running · 4.0 s",
    ]);
  });

  const sizes = [1, 2, 3, 4, 5, 8, 13, 24, 60];
  const shapes: Readonly<Record<string, Readonly<Record<string, number>>>> = {
    "many tasks": { One: 3, Two: 10_000, Three: 3 },
    "many stages": Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`Stage${n}`, 2])),
    "long names": { ["A very long name of a stage ".repeat(5)]: 50 },
    "wide names": { テスト段階テスト段階テスト段階: 40 },
  };
  for (const [name, stages] of Object.entries(shapes)) {
    test(`${name}: never higher nor wider than asked`, () => {
      const pipeline = pipelineOf(stages);
      const names = Object.keys(stages);
      const current = names[Math.floor(names.length / 2)] ?? "";
      const tasks = Math.min(30, stages[current] ?? 0);
      const run = runOf(pipeline, [
        { type: "stage-started", at: 0, stage: current },
        ...Array.from({ length: tasks }, (_, n) => started(current, `task_${n}`)),
      ]);
      for (const height of sizes) {
        for (const width of [10, 20, 40, 80, 200]) {
          const frame = renderFrame(run, { ...options, width, height });
          assert.ok(frame.length <= height, `${frame.length} lines in ${height}`);
          assert.ok(frame.length > 0);
          for (const line of frame) assert.ok(textWidth(line) <= width, `${width}: ${line}`);
        }
      }
    });
  }

  test("what runs has room before what is done", () => {
    const run = runOf(pipelineOf({ Test: 100 }), [
      { type: "stage-started", at: 0, stage: "Test" },
      ...Array.from({ length: 9 }, (_, n) => started("Test", `task_${n}`)),
      passed("Test", "task_0"),
      passed("Test", "task_1", 2500),
    ]);
    const names = renderFrame(run, { ...options, height: 11 })
      .map((line) => /task_\d+/.exec(line)?.[0])
      .filter(Boolean);
    assert.deepEqual(
      names,
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `task_${n}`),
    );
    const crowded = renderFrame(run, { ...options, height: 6 });
    assert.ok(
      crowded.some((line) => line.includes("… 5 more running")),
      crowded.join("\n"),
    );
  });
});

suite("the summary", () => {
  test("verdict, counts, each failure with its reason and its command", () => {
    const run = runOf(pipelineOf({ Test: 3 }), [
      ...[0, 1, 2].map((n) => started("Test", `task_${n}`, 0)),
      passed("Test", "task_0"),
      failed("Test", "task_1", "expected 1, got 2\nmore of it"),
      {
        type: "attempt-finished",
        at: 2000,
        stage: "Test",
        task: "task_2",
        attempt: 1,
        end: { status: "errored", fault: { message: "image gone", hint: "Build it" } },
      },
      { type: "run-finished", at: 3000, verdict: "failed" },
    ]);
    const rerunCommand = ({ stage, task }: { stage: string; task: string }) =>
      `again ${stage}.${task}`;
    assert.deepEqual(summaryLines(run, { ...options, width: 80, rerunCommand }), [
      "FAILED  1 failed · 1 errored · 1 passed · 3.0 s",
      "",
      "  ✗ Test.task_1  expected 1, got 2",
      "    again Test.task_1",
      "  ! Test.task_2  image gone",
      "    Build it",
      "    again Test.task_2",
    ]);
  });

  test("a fault of the whole run is said with its hint", () => {
    const run = runOf(pipelineOf({}), [
      {
        type: "run-finished",
        at: 1000,
        verdict: "errored",
        fault: { message: "the pipedef stopped answering\nfor 30 s", hint: "An endless loop?" },
      },
    ]);
    assert.deepEqual(summaryLines(run, { ...options, rerunCommand: () => "" }), [
      "ERRORED  1.0 s",
      "",
      "  the pipedef stopped answering",
      "  for 30 s",
      "  An endless loop?",
    ]);
  });
});

suite("colours and the live view", () => {
  const table: [env: Record<string, string>, isTty: boolean, colour: boolean, live: boolean][] = [
    [{}, true, true, true],
    [{}, false, false, false],
    [{ NO_COLOR: "1" }, true, false, true],
    [{ NO_COLOR: "" }, true, true, true],
    [{ FORCE_COLOR: "1" }, false, true, false],
    [{ FORCE_COLOR: "0" }, true, false, true],
    [{ NO_COLOR: "1", FORCE_COLOR: "1" }, true, true, true],
    [{ CI: "true" }, true, true, false],
    [{ CI: "false" }, true, true, true],
    [{ TERM: "dumb" }, true, false, false],
  ];
  for (const [env, isTty, colour, live] of table) {
    test(`${JSON.stringify(env)} on a ${isTty ? "terminal" : "pipe"}`, () => {
      assert.deepEqual(
        [wantsColour({ env, isTty }), wantsLiveView({ env, isTty })],
        [colour, live],
      );
    });
  }
});
