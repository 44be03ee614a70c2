import assert from "node:assert/strict";
import { test } from "node:test";
import { orAborted, within } from "../../src/lib/or-else.js";

const never = new Promise<string>(() => {});

test("what comes first counts: the work, or the end of waiting for it", async () => {
  const stop = new AbortController();
  assert.equal(await orAborted(Promise.resolve("done"), stop.signal), "done");
  assert.equal(await within(60_000, Promise.resolve("done"), assert.fail), "done");
  assert.equal(await within(1, never, () => "late"), "late");

  const waiting = orAborted(never, stop.signal);
  const other = orAborted(never, stop.signal, () => "left");
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, { message: "enough" });
  assert.equal(await other, "left");
});

test("where it is too late already, nobody hears how the work fails", async () => {
  const failing = Promise.reject(new Error("unheard"));
  await assert.rejects(orAborted(failing, AbortSignal.abort(new Error("enough"))), {
    message: "enough",
  });
  await assert.rejects(within(60_000, Promise.reject(new Error("heard")), assert.fail), {
    message: "heard",
  });
});
