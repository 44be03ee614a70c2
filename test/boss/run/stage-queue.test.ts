import assert from "node:assert/strict";
import { test } from "node:test";
import { StageQueue } from "../../../src/boss/run/stage-queue.js";

const refs = Array.from({ length: 1000 }, (_, n) => ({ stage: "unit", task: `t${n}` }));
const turn = () => new Promise((resolve) => setImmediate(resolve));

function queueOf() {
  const told: string[] = [];
  const emit = (event: { readonly type: string }) => {
    if ("task" in event) told.push(String(event.task));
  };
  return { told, queue: new StageQueue(refs, { emit, now: () => 0 }) };
}

test("some are told at once, all in the end, each once and in order", async () => {
  const { told } = queueOf();
  assert.ok(told.length > 0 && told.length < refs.length, String(told.length));
  while (told.length < refs.length) await turn();
  await turn();
  assert.deepEqual(
    told,
    refs.map(({ task }) => task),
  );
});

test("one that starts has been told", () => {
  const { told, queue } = queueOf();
  queue.tellOf(700);
  assert.ok(told.includes("t700"));
});

test("stopped, it tells of no more", async () => {
  const { told, queue } = queueOf();
  const before = told.length;
  queue.stop();
  for (let n = 0; n < 10; n += 1) await turn();
  assert.equal(told.length, before);
});
