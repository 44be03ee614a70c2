import assert from "node:assert/strict";
import { test } from "node:test";
import { Crew } from "../../../src/boss/run/crew.js";
import { deferred } from "../../rig/worker.js";

test("done when all have ended, also those that failed, which it then tells", async () => {
  const crew = new Crew();
  const works = [deferred<void>(), deferred<void>()];
  let ended = 0;
  for (const { promise } of works) {
    crew.add(promise, () => {
      ended += 1;
    });
  }
  let isDone = false;
  const done = crew.done().finally(() => {
    isDone = true;
  });
  works[0]!.reject(new Error("boom"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(crew.hasFailed, true);
  assert.equal(ended, 1);
  assert.equal(isDone, false);
  works[1]!.resolve();
  await assert.rejects(done, /boom/);
  assert.equal(ended, 2);
});

test("with nothing to do it is done", async () => {
  await new Crew().done();
});
