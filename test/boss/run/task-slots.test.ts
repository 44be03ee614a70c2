import assert from "node:assert/strict";
import { test } from "node:test";
import { TaskSlots } from "../../../src/boss/run/task-slots.js";

const never = new AbortController().signal;

test("slots are given in the order of asking", async () => {
  const slots = new TaskSlots(() => 1);
  const order: number[] = [];
  const first = await slots.acquire(never);
  const rest = [1, 2, 3].map(async (n) => {
    const release = await slots.acquire(never);
    order.push(n);
    release?.();
  });
  first?.();
  await Promise.all(rest);
  assert.deepEqual(order, [1, 2, 3]);
});

test("an aborted waiter gets nothing and holds up nobody", async () => {
  const slots = new TaskSlots(() => 1);
  const first = await slots.acquire(never);
  const stop = new AbortController();
  const aborted = slots.acquire(stop.signal);
  const next = slots.acquire(never);
  stop.abort();
  assert.equal(await aborted, null);
  first?.();
  assert.equal(typeof (await next), "function");
});

test("a slot given back twice counts once", async () => {
  const slots = new TaskSlots(() => 1);
  const release = await slots.acquire(never);
  release?.();
  release?.();
  await slots.acquire(never);
  let second = false;
  void slots.acquire(never).then(() => {
    second = true;
  });
  await new Promise(setImmediate);
  assert.equal(second, false);
});

test("a grown capacity is used at the next pump; none at all still lets one through", async () => {
  let capacity = 0;
  const slots = new TaskSlots(() => capacity);
  let started = 0;
  for (let n = 0; n < 5; n++) void slots.acquire(never).then(() => (started += 1));
  await new Promise(setImmediate);
  assert.equal(started, 1);
  capacity = 4;
  slots.pump();
  await new Promise(setImmediate);
  assert.equal(started, 4);
});
