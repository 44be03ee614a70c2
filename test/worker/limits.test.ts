// Deadlines, ends from outside, and what is left of sandboxes: over HTTP, with the real executors.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import {
  containersOf,
  createScriptedExecutor,
  eventually,
  execute,
  image,
  startCommand,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

/** As a process that was stopped, or whose machine was. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test("out of memory without a limit of its own is the machine's trouble, and no red test", async () => {
  const executor = createScriptedExecutor({ outOfMemory: true });
  await using worker = await startTestWorker({ executor });
  const outcomeOf = async (limits: { memoryBytes?: number }) => {
    const executed = worker.execute("a hog", limits);
    (await executor.nextCommand()).exit(137);
    return (await executed).outcome;
  };
  assert.deepEqual(await outcomeOf({ memoryBytes: 2 ** 20 }), {
    kind: "out-of-memory",
    limitBytes: 2 ** 20,
  });
  assert.match(
    JSON.stringify(await outcomeOf({})),
    /"faulted","message":"the worker's machine ran/,
  );
});

for (const executor of ["docker", "process"] as const) {
  const containers = () => (executor === "docker" ? containersOf(process.pid) : []);

  test(`${executor}: at the deadline a command may say goodbye`, async () => {
    await using worker = await startTestWorker({ executor, poolMax: 0, slots: 2, graceMs: 60_000 });
    const { outcome, output } = await worker.execute(
      "trap 'echo goodbye; exit 0' TERM; while :; do sleep 0.05; done",
      { timeoutMs: 300 },
    );
    assert.deepEqual(outcome, { kind: "timed-out", afterMs: 300 });
    // A shell whose child was ended too may say so, before or after.
    assert.match(output.toString(), /goodbye\n/);
  });

  test(`${executor}: what ended in time while the worker stood still has not timed out`, async () => {
    await using worker = await startTestWorker({ executor, poolMax: 0, slots: 2 });
    const outcome = await worker.client.execute(
      { image, command: "echo ready; sleep 0.2; exit 3", timeoutMs: 2_000 },
      {
        output() {
          standStill(2_500);
          return undefined;
        },
        started: () => {},
      },
      new AbortController().signal,
    );
    assert.deepEqual(outcome, { kind: "exited", exitCode: 3 });
  });

  test(`${executor}: one that ignores SIGTERM is killed after the grace, and has timed out`, async () => {
    await using worker = await startTestWorker({ executor, poolMax: 0, slots: 2, graceMs: 500 });
    const started = Date.now();
    const { outcome, output } = await worker.execute(
      "trap '' TERM; echo deaf; while :; do sleep 0.05; done",
      { timeoutMs: 300 },
    );
    assert.deepEqual(outcome, { kind: "timed-out", afterMs: 300 });
    assert.ok(Date.now() - started >= 800);
    assert.match(output.toString(), /^deaf\n/);
  });

  test(`${executor}: an abort ends the command, and nothing is left`, async () => {
    await using worker = await startTestWorker({ executor, poolMax: 0, slots: 2 });
    const stop = new AbortController();
    const { ended } = await startCommand(worker.client, "echo ready; sleep 1000", stop.signal);
    stop.abort();
    assert.deepEqual(await ended, { kind: "cancelled" });
    assert.deepEqual(containers(), []);
  });

  test(`${executor}: a client killed without a word loses its sandbox within 2 s`, async () => {
    await using worker = await startTestWorker({ executor, poolMax: 0, slots: 2 });
    const leaving = new AbortController();
    const response = await fetch(`${worker.url}/executions/a`, {
      method: "PUT",
      body: JSON.stringify({ image, command: "sleep 1000" }),
      signal: leaving.signal,
    });
    await response.body!.getReader().read();
    leaving.abort();
    const left = Date.now();
    await eventually(() => worker.worker.info().running === 0 && containers().length === 0);
    const tookMs = Date.now() - left;
    assert.ok(tookMs < 4000, `took ${tookMs} ms`);
    assert.deepEqual(containers(), []);
  });

  test(`${executor}: stop ends every sandbox, well within 12 s`, async () => {
    const worker = await startTestWorker({ executor, poolMax: 0, slots: 2 });
    const running = await Promise.all([
      startCommand(worker.client, "trap '' TERM; echo ready; sleep 1000; sleep 1000"),
      startCommand(worker.client, "echo ready; sleep 1000"),
    ]);
    const waiting = worker.execute("echo never");
    await eventually(() => worker.worker.info().queued === 1);
    const before = Date.now();
    await worker.worker.stop();
    assert.ok(Date.now() - before < 12_000);
    assert.deepEqual(containers(), []);
    const outcomes = await Promise.all([...running.map(({ ended }) => ended), waiting]);
    assert.match(
      JSON.stringify(outcomes),
      /the worker was stopped.*the worker was stopped.*stopped/,
    );
    worker.client.close();
  });
}

test("docker: 40 commands on 2 slots, the worker killed in the middle, the next one starts clean", async () => {
  await using dying = await startWorkerProcess({ executor: "docker", slots: 2 });
  const client = createWorkerClient(dying.url);
  const all = Array.from({ length: 40 }, (_, i) =>
    execute(client, { image, command: `echo ${i}; sleep 0.2` }),
  );
  await Promise.race(all);
  await dying.kill();
  const kinds = new Set((await Promise.all(all)).map(({ outcome }) => outcome.kind));
  assert.deepEqual([...kinds].sort(), ["exited", "faulted"]);
  client.close();
  await using next = await startTestWorker({ executor: "docker" });
  // What is gone, its guard or the next worker has removed; the later of the two only hears of it.
  await eventually(() => containersOf(dying.pid).length === 0);
  assert.deepEqual((await next.execute("exit 5")).outcome, { kind: "exited", exitCode: 5 });
});
