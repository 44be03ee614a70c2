// A worker that is told to stop.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { startCli } from "../cli/rig.js";
import {
  createScriptedExecutor,
  execute,
  image,
  infoThat,
  startCommand,
  startTestWorker,
} from "../rig/worker.js";

test("what runs may end, what waits is handed back, what comes is refused; then it is gone", async () => {
  const executor = createScriptedExecutor();
  const own = await startTestWorker({ executor, slots: 1 });
  const running = own.execute("runs");
  const command = await executor.nextCommand();
  const waiting = own.execute("waits");
  await infoThat(own.client, ({ queued }) => queued === 1);

  const stopped = own.worker.stop({ graceMs: 60_000 });
  const handedBack = (await waiting).outcome;
  assert.ok(handedBack.kind === "faulted" && handedBack.workerLost, JSON.stringify(handedBack));
  await infoThat(own.client, ({ problem }) => problem === "the worker is stopping");
  const refused = (await own.execute("comes")).outcome;
  assert.ok(refused.kind === "faulted" && refused.workerLost, JSON.stringify(refused));
  assert.match(refused.message, /is stopping/);

  await command.write("to the end");
  command.exit(7);
  const { outcome, output } = await running;
  assert.deepEqual(outcome, { kind: "exited", exitCode: 7 });
  assert.equal(output.toString(), "to the end");
  await stopped;
  assert.equal(executor.disposed, 1);
  own.client.close();
});

test("what does not end within the grace is handed back", async () => {
  const own = await startTestWorker({ executor: "process", slots: 1 });
  const { ended } = await startCommand(own.client, "trap '' TERM; echo ready; sleep 1000");
  await own.worker.stop({ graceMs: 200 });
  const outcome = await ended;
  assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
  assert.match(outcome.message, /did not end within 0.2 s|200 ms/);
  own.client.close();
});

test("bettertest worker: SIGTERM waits for what runs; a second one does not", async () => {
  for (const signals of [1, 2]) {
    const program = startCli(["worker", "--port", "0", "--executor", "process", "--grace", "60s"]);
    const url = /http:\/\/[\w.:]+\d/.exec(await program.prints(/http:\/\/[\w.:]+\d/))![0];
    const client = createWorkerClient(url);
    const long = signals === 1 ? "sleep 1; exit 4" : "sleep 1000";
    const ended = execute(client, { image, command: long });
    await infoThat(client, ({ running }) => running === 1);
    program.child.kill("SIGTERM");
    await program.prints(/stopping/);
    if (signals === 2) program.child.kill("SIGTERM");
    const { exitCode } = await program.ended;
    const { outcome } = await ended;
    if (signals === 1) assert.deepEqual(outcome, { kind: "exited", exitCode: 4 });
    else assert.equal(outcome.kind, "faulted");
    assert.equal(exitCode, signals === 1 ? 0 : 130);
    client.close();
  }
});
