import assert from "node:assert/strict";
import { test } from "node:test";
import type { WorkerView } from "../../src/wire/boss.js";
import { keptUntil } from "../../ui/views/kept-until.js";

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
