import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { Admission, type Slot } from "../../src/worker/admission.js";
import { eventually, execute, image, infoThat, startWorkerProcess } from "../rig/worker.js";

const never = () => new AbortController().signal;

test("slots are given in order of arrival, also past those who left", async () => {
  const admission = new Admission({ slots: 1, changed: () => {} });
  const order: string[] = [];
  const leaving = new AbortController();
  const first = await admission.enter({ signal: never(), moved: () => {} });
  const enter = (name: string, signal: AbortSignal) =>
    admission.enter({ signal, moved: () => {} }).then(
      (slot) => {
        order.push(name);
        slot.release();
      },
      () => order.push(`${name} left`),
    );
  const all = [enter("a", never()), enter("b", leaving.signal), enter("c", never())];
  assert.deepEqual([admission.running, admission.queued], [1, 3]);
  leaving.abort();
  first.release();
  first.release();
  await Promise.all(all);
  assert.deepEqual(order, ["b left", "a", "c"]);
  assert.deepEqual([admission.running, admission.queued], [0, 0]);
});

test("those who wait are told as they move up", async () => {
  const admission = new Admission({ slots: 1, changed: () => {} });
  const told: number[][] = [[], [], []];
  let slot = await admission.enter({ signal: never(), moved: () => {} });
  const entering = told.map((list) =>
    admission.enter({ signal: never(), moved: (ahead) => list.push(ahead) }),
  );
  assert.deepEqual(told, [[0], [1], [2]]);
  for (const next of entering) {
    slot.release();
    slot = await next;
    await eventually(() =>
      told.every((list, i) => list.at(-1) === 0 || i < 0 || admission.queued < 3),
    );
  }
  slot.release();
  await eventually(() => told[2]!.at(-1) === 0 || admission.queued === 0);
  for (const list of told)
    assert.deepEqual(
      list,
      [...list].sort((a, b) => b - a),
    );
});

test("10,000 in line cost little: few messages each, and the order holds", async () => {
  const admission = new Admission({ slots: 2, changed: () => {} });
  let messages = 0;
  const order: number[] = [];
  const slots: Slot[] = [];
  const count = 10_000;
  const entering = Array.from({ length: count }, async (_, i) => {
    slots.push(
      await admission.enter({
        signal: never(),
        moved: () => {
          messages += 1;
        },
      }),
    );
    order.push(i);
  });
  for (let i = 0; i < count; i++) {
    while (slots.length === 0) await new Promise((resolve) => setImmediate(resolve));
    slots.pop()!.release();
  }
  await Promise.all(entering);
  assert.deepEqual(
    order,
    order.map((_, i) => i),
  );
  assert.ok(messages < 100 * count, `${messages} messages`);
});

test("10,000 requests at once are all served, over HTTP", async () => {
  await using worker = await startWorkerProcess({ executor: "gated", slots: 4 });
  const client = createWorkerClient(worker.url);
  const count = 10_000;
  const ended = Array.from({ length: count }, (_, i) =>
    execute(client, { image, command: String(i) }),
  );
  await infoThat(client, ({ queued, slots }) => queued === count - slots);
  worker.openGate();
  for (const [i, { outcome, output }] of (await Promise.all(ended)).entries()) {
    assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
    assert.equal(output.toString(), String(i));
  }
  client.close();
});
