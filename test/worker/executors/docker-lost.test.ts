// The engine stopped, killed and started again under a worker.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noOwnEngine, type OwnEngine, startOwnEngine } from "../../rig/engine.js";
import {
  deferred,
  eventually,
  image,
  infoThat,
  startCommand,
  startTestWorker,
} from "../../rig/worker.js";

const friendly = "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
const plain = "echo ready; sleep 1000";

describe("an engine that goes away", { skip: noOwnEngine() }, () => {
  let engine: OwnEngine;
  before(async () => {
    engine = await startOwnEngine();
  });
  after(() => engine[Symbol.asyncDispose]());

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`${signal}: what runs is lost, never ended; what waits runs when the engine is back`, async () => {
      await using own = await startTestWorker({
        executor: "docker",
        dockerHost: engine.address,
        slots: 2,
        poolMax: 0,
      });
      const { client, url } = own;
      const running = await Promise.all([friendly, plain].map((c) => startCommand(client, c)));
      const waiting = own.execute("exit 6");
      await infoThat(client, ({ queued }) => queued === 1);

      await engine.end(signal);
      for (const { ended } of running) {
        const outcome = await ended;
        assert.equal(outcome.kind, "faulted", JSON.stringify(outcome));
        assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
      }
      await infoThat(client, ({ problem }) => /engine at unix:.* is away/.test(problem ?? ""));
      assert.equal(await (await fetch(`${url}/health`)).text(), "ok\n");

      await engine.start();
      assert.deepEqual((await waiting).outcome, { kind: "exited", exitCode: 6 });
      await infoThat(client, ({ problem, running }) => problem === null && running === 0);
      await eventually(() => engine.containers().length === 0);
    });
  }

  test("an engine that stays away: what waits is handed back, what comes is refused", async () => {
    await using own = await startTestWorker({
      executor: "docker",
      dockerHost: engine.address,
      engineWaitMs: 300,
    });
    await engine.end("SIGKILL");
    await infoThat(own.client, ({ problem }) => problem !== null);
    for (const _ of ["waiting", "refused"]) {
      const { outcome } = await own.execute("true");
      assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
      assert.match(outcome.message, /is away/);
    }
    await engine.start();
    await infoThat(own.client, ({ problem }) => problem === null);
    assert.deepEqual((await own.execute("exit 4")).outcome, { kind: "exited", exitCode: 4 });
  });

  test("a command whose time is up while the engine hangs is lost, not timed out", async () => {
    await using own = await startTestWorker({
      executor: "docker",
      dockerHost: engine.address,
      graceMs: 100,
    });
    const running = own.client.execute(
      { image, command: plain, timeoutMs: 2_000 },
      {
        output: () => {
          engine.hang();
          return undefined;
        },
        started: () => {},
      },
      new AbortController().signal,
    );
    const outcome = await running;
    engine.goOn();
    assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
    await infoThat(own.client, ({ running }) => running === 0);
    assert.deepEqual((await own.execute("exit 4")).outcome, { kind: "exited", exitCode: 4 });
    await eventually(() => engine.containers().length === own.worker.info().ready);
  });

  test("a container that is stopped by hand did not end by itself", async () => {
    await using own = await startTestWorker({ executor: "docker", dockerHost: engine.address });
    const { ended } = await startCommand(own.client, friendly);
    engine.docker("stop", ...engine.containers());
    const outcome = await ended;
    assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
    assert.match(outcome.message, /ended from outside \(signal 15, 9\)/);
  });

  test("services are lost with their engine, and gone with their networks when it is back", async () => {
    await using own = await startTestWorker({ executor: "docker", dockerHost: engine.address });
    const printed = deferred<void>();
    const db = { image, command: ["sleep", "1000"], ready: { command: "true" } };
    const running = own.client.execute(
      { image, command: plain, services: { db } },
      {
        output: (bytes) => {
          if (Buffer.from(bytes).includes("ready")) printed.resolve();
          return undefined;
        },
        started: () => {},
      },
      new AbortController().signal,
    );
    await Promise.race([
      printed.promise,
      running.then((outcome) => Promise.reject(new Error(JSON.stringify(outcome)))),
    ]);
    const networks = () =>
      engine.docker("network", "ls", "-q", "--filter", "label=bettertest.owner");
    assert.notEqual(networks().trim(), "");
    await engine.end("SIGKILL");
    const outcome = await running;
    assert.ok(outcome.kind === "faulted" && outcome.workerLost, JSON.stringify(outcome));
    await engine.start();
    await infoThat(own.client, ({ problem }) => problem === null);
    await eventually(() => engine.containers().length === 0 && networks().trim() === "");
  });

  test("a worker that is stopped while the engine is away leaves at once", async () => {
    const own = await startTestWorker({ executor: "docker", dockerHost: engine.address });
    await engine.end("SIGKILL");
    await infoThat(own.client, ({ problem }) => problem !== null);
    await own[Symbol.asyncDispose]();
    await engine.start();
  });
});
