import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkerView } from "../../src/wire/boss.js";
import { enterCommand, keptUntil } from "../../ui/views/kept.js";

const info = {
  version: "0",
  executor: "docker",
  isolated: true,
  slots: 1,
  running: 0,
  queued: 0,
  ready: 0,
  problem: null,
};

function worker(status: WorkerView["status"], kept: { id: string; until: number | null }[]) {
  return { url: "http://w:9009", status, problem: null, info: { ...info, kept } };
}

test("a sandbox is kept as long as its worker says so", () => {
  const workers = [
    worker("connected", [{ id: "a", until: 5 }]),
    worker("connected", [{ id: "b", until: null }]),
    worker("lost", [{ id: "c", until: 7 }]),
  ];
  assert.equal(keptUntil("a", workers), 5);
  assert.equal(keptUntil("b", workers), null);
  assert.equal(keptUntil("c", workers), undefined);
  assert.equal(keptUntil("d", workers), undefined);
});

test("the command that enters a sandbox says no more than it must", () => {
  const origin = "http://ci:9001";
  const attempt = { stage: "unit", task: "a cart", attempt: 1 };
  assert.equal(
    enterCommand({ run: 7, attempt, call: null, origin }),
    "npx bettertest shell 7 'unit.a cart' --boss http://ci:9001",
  );
  assert.equal(
    enterCommand({ run: 7, attempt: { ...attempt, attempt: 2 }, call: 3, origin }),
    "npx bettertest shell 7 'unit.a cart' --attempt 2 --call 3 --boss http://ci:9001",
  );
});
