import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunCreated, RunEvent } from "../../src/model/events.js";
import { type Pipeline, selectTasks } from "../../src/model/pipeline.js";
import { applyEvent, attemptNote, findTask, newRun, verdictOf } from "../../src/model/run.js";

const pipeline: Pipeline = {
  warnings: [],
  stages: [
    { name: "a", always: false, tasks: [{ name: "b.c" }, { name: "d" }] },
    { name: "a.b", always: false, tasks: [{ name: "c" }] },
  ],
};
const created: RunCreated = {
  type: "run-created",
  at: 0,
  pipelineName: "p",
  pipedef: "/p.ts",
  keepGoing: false,
  trigger: "test",
};
const fold = (...events: RunEvent[]) => events.reduce(applyEvent, newRun(1, created));

test("tasks whose labels look alike are told apart", () => {
  const run = fold(
    { type: "run-loaded", at: 1, pipeline },
    { type: "attempt-started", at: 2, stage: "a.b", task: "c", attempt: 1 },
  );
  assert.equal(findTask(run, { stage: "a.b", task: "c" })?.status, "running");
  assert.equal(findTask(run, { stage: "a", task: "b.c" })?.status, "waiting");
});

test("an attempt carries its calls and its end", () => {
  const ref = { stage: "a", task: "d", attempt: 1 } as const;
  const run = fold(
    { type: "run-loaded", at: 1, pipeline },
    { type: "attempt-started", at: 2, ...ref },
    {
      type: "call-started",
      at: 3,
      ...ref,
      call: 1,
      command: "make",
      image: "i",
      worker: "w",
      sandbox: "s",
    },
    {
      type: "attempt-finished",
      at: 9,
      ...ref,
      end: { status: "failed", failure: { kind: "exit", command: "make", exitCode: 2 } },
    },
  );
  const task = findTask(run, ref);
  assert.equal(task?.status, "failed");
  assert.equal(task?.attempts[0]?.calls[0]?.sandbox, "s");
  assert.equal(task?.attempts[0]?.finishedAt, 9);
});

test("applying an event leaves the run before it as it was", () => {
  const before = fold({ type: "run-loaded", at: 1, pipeline });
  const copy = structuredClone(before);
  applyEvent(before, { type: "attempt-started", at: 2, stage: "a", task: "d", attempt: 1 });
  assert.deepEqual(before, copy);
});

test("a red test outranks an infrastructure fault, which outranks green", () => {
  assert.equal(verdictOf(["passed", "errored", "failed"]), "failed");
  assert.equal(verdictOf(["passed", "errored", "skipped"]), "errored");
  assert.equal(verdictOf(["passed", "cancelled"]), "cancelled");
  assert.equal(verdictOf(["passed"]), "passed");
});

test("a selection names stages or tasks, keeps the pipeline's order, and suggests for a typing error", () => {
  const chosen = selectTasks(pipeline, ["a.b", "a.d"]);
  assert.deepEqual(chosen.ok && chosen.tasks, [
    { stage: "a", task: "d" },
    { stage: "a.b", task: "c" },
  ]);
  const wrong = selectTasks(pipeline, ["B.C"]);
  assert.equal(wrong.ok, false);
  assert.ok(!wrong.ok && wrong.suggestions.includes("a.b.c"));
});

test("a task is cached that has passed and only asked for images that were there", () => {
  const ref = { stage: "a", task: "d", attempt: 1 } as const;
  const call = (number: number, cached: boolean | null): RunEvent[] => [
    {
      type: "call-started",
      at: 3,
      ...ref,
      call: number,
      command: "docker build .",
      image: "i",
      worker: "w",
      sandbox: "s",
      ...(cached !== null && { builds: true }),
    },
    {
      type: "call-finished",
      at: 4,
      ...ref,
      call: number,
      durationMs: 1,
      outcome: {
        kind: "exited",
        exitCode: 0,
        ...(cached !== null && {
          build: {
            kind: "made",
            image: "i:1",
            cached,
            madeAt: 0,
            by: number > 2 ? null : { run: number + 6, at: 0, task: "a.d" },
          },
        }),
      },
    },
  ];
  const noteAfter = (events: RunEvent[], status: "passed" | "cancelled" = "passed") => {
    const run = fold(
      { type: "run-loaded", at: 1, pipeline },
      { type: "attempt-started", at: 2, ...ref },
      ...events,
      { type: "attempt-finished", at: 9, ...ref, end: { status } },
    );
    return attemptNote(findTask(run, ref)!);
  };
  assert.equal(noteAfter(call(1, true)), "cached, made by run 7");
  assert.equal(noteAfter([...call(1, true), ...call(1, true)]), "cached, made by run 7");
  assert.equal(
    noteAfter([1, 2, 3].flatMap((number) => call(number, true))),
    "cached, made by run 7 and by run 8 and 1970-01-01 00:00 UTC",
  );
  assert.equal(noteAfter([...call(1, true), ...call(2, false)]), null);
  // Tests always run.
  assert.equal(noteAfter([...call(1, true), ...call(2, null)]), null);
  assert.equal(noteAfter([]), null);
  assert.equal(noteAfter(call(1, true), "cancelled"), null);
});
