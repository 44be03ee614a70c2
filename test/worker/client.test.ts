// The client, and what it makes of workers that are slow, silent, lost or never there.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import type { CommandRequest } from "../../src/wire/worker.js";
import { createWorkerClient, type WorkerState } from "../../src/wire/worker-client.js";
import { startProxy } from "../rig/proxy.js";
import {
  createScriptedExecutor,
  deferred,
  eventually,
  execute,
  image,
  startCommand,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

const request: CommandRequest = { image, command: "x" };
const started = () => {};

/** A server that speaks as little HTTP as a test wants. */
async function startServer(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.dispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test("nobody there: which worker, why, and what to try", async () => {
  const server = await startServer(() => {});
  server[Symbol.dispose]();
  const client = createWorkerClient(server.url);
  const { outcome } = await execute(client, request);
  assert.deepEqual(outcome, {
    kind: "faulted",
    message: `worker ${server.url} did not answer (connect ECONNREFUSED ${server.url.slice(7)})`,
    hint: `Is it running? Try: curl ${server.url}/health`,
    workerLost: true,
  });
  await assert.rejects(client.info(), /did not answer .* Is it running\? Try: curl/);
});

test("something else there: its words", async () => {
  using server = await startServer((socket) => {
    socket.end("HTTP/1.1 418 Teapot\r\ncontent-length: 7\r\n\r\nteapot!");
  });
  const { outcome } = await execute(createWorkerClient(server.url), request);
  assert.deepEqual(outcome, {
    kind: "faulted",
    message: `worker ${server.url} answered 418: teapot!`,
  });
});

test("a worker that takes the connection and says nothing", async () => {
  using server = await startServer(() => {});
  const client = createWorkerClient(server.url, { silenceMs: 100 });
  const { outcome } = await execute(client, request);
  assert.match(JSON.stringify(outcome), /did not answer \(no answer within 0.1 s\)/);
});

test("a worker that falls silent in the middle, as when its cable is cut", async () => {
  using server = await startServer((socket) => {
    socket.write(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    );
  });
  const client = createWorkerClient(server.url, { silenceMs: 100 });
  const { outcome } = await execute(client, request);
  assert.deepEqual(outcome, {
    kind: "faulted",
    message: `worker ${server.url} was lost: silent for 0.1 s`,
    workerLost: true,
  });
});

test("keep-alives are a sign of life", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, keepAliveMs: 20 });
  const client = createWorkerClient(worker.url, { silenceMs: 200 });
  const ended = execute(client, request);
  const command = await executor.nextCommand();
  // There is no event for nothing: three times what would be silence.
  await new Promise((resolve) => setTimeout(resolve, 600));
  command.exit(0);
  assert.deepEqual((await ended).outcome, { kind: "exited", exitCode: 0 });
  client.close();
});

test("who was suspended for longer than the silence hears the worker all the same", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, keepAliveMs: 20 });
  const client = createWorkerClient(worker.url, { silenceMs: 200, leaseMs: 300 });
  const ended = execute(client, request);
  const command = await executor.nextCommand();
  for (let times = 0; times < 3; times++) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  command.exit(0);
  assert.deepEqual((await ended).outcome, { kind: "exited", exitCode: 0 });
  client.close();
});

test("a worker killed in the middle is a fault that says so", async () => {
  await using worker = await startWorkerProcess({ executor: "process" });
  const client = createWorkerClient(worker.url);
  const { ended } = await startCommand(client, "echo ready; sleep 1000");
  await worker.kill();
  assert.match(JSON.stringify(await ended), /faulted.*was lost/);
});

test("an abort ends the sandbox before it resolves", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor });
  const stop = new AbortController();
  const ended = worker.client.execute(request, { output: () => undefined, started }, stop.signal);
  const command = await executor.nextCommand();
  stop.abort();
  assert.deepEqual(await ended, { kind: "cancelled" });
  assert.deepEqual(command.signals, ["SIGKILL"]);
  assert.equal(executor.disposed, 1);
  const late = await execute(worker.client, request, stop.signal);
  assert.deepEqual(late.outcome, { kind: "cancelled" });
  assert.equal(worker.worker.info().running, 0);
});

test("an abort while it waits in line", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, slots: 1 });
  const stop = new AbortController();
  const first = execute(worker.client, request);
  const command = await executor.nextCommand();
  const queued = deferred<number>();
  const io = { output: () => undefined, started, queued: queued.resolve };
  const second = worker.client.execute(request, io, stop.signal);
  assert.equal(await queued.promise, 0);
  stop.abort();
  assert.deepEqual(await second, { kind: "cancelled" });
  command.exit(0);
  assert.deepEqual((await first).outcome, { kind: "exited", exitCode: 0 });
});

test("an abort while hundreds begin: none is started behind it", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, slots: 1 });
  const client = createWorkerClient(worker.url, { leaseMs: 60_000 });
  const stop = new AbortController();
  const running = Array.from({ length: 200 }, () =>
    client.execute(request, { output: () => undefined, started }, stop.signal),
  );
  // The first requests are on their way, the others wait for their turn.
  await new Promise(setImmediate);
  stop.abort();
  for (const outcome of await Promise.all(running))
    assert.deepEqual(outcome, { kind: "cancelled" });
  const { running: busy, queued } = await client.info();
  assert.deepEqual({ busy, queued }, { busy: 0, queued: 0 });
  client.close();
});

test("a connection that is reset in the middle of an answer is not asked a second time", async () => {
  await using worker = await startTestWorker({ executor: createScriptedExecutor() });
  using proxy = await startProxy(() => worker.url);
  let asked = 0;
  proxy.onRequest = (chunk) => {
    if (chunk.includes("GET /events")) asked += 1;
  };
  const client = createWorkerClient(proxy.url, { firstRetryMs: 1, longestRetryMs: 1 });
  // Leaves a connection that is used again.
  await client.info();
  const stop = new AbortController();
  let connected = 0;
  await client.watch(({ status }) => {
    if (status !== "connected") return;
    connected += 1;
    if (connected === 3) stop.abort();
    else proxy.drop();
  }, stop.signal);
  assert.equal(asked, 3);
  client.close();
});

test("a reader that fails is a fault, and ends the sandbox", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, leaseMs: 50 });
  const io = { output: () => Promise.reject(new Error("disk full")), started };
  const ended = worker.client.execute(request, io, new AbortController().signal);
  const command = await executor.nextCommand();
  command.write("hello");
  assert.match(JSON.stringify(await ended), /faulted.*disk full/);
  await eventually(() => executor.disposed === 1);
});

test("one connection serves command after command", async () => {
  await using worker = await startTestWorker({ executor: "process" });
  for (let i = 0; i < 20; i++) {
    const { outcome, output } = await worker.execute(`printf ${i}; exit ${i}`);
    assert.deepEqual([outcome, output.toString()], [{ kind: "exited", exitCode: i }, String(i)]);
  }
});

test("watch tells connecting, connected and lost, and comes back", async () => {
  const states: WorkerState[] = [];
  const seen = (status: WorkerState["status"]) =>
    eventually(() => states.at(-1)?.status === status);
  const executor = createScriptedExecutor();
  const placeholder = await startTestWorker({ executor });
  const { port } = placeholder.worker;
  await placeholder[Symbol.asyncDispose]();

  const client = createWorkerClient(placeholder.url, { firstRetryMs: 20, longestRetryMs: 50 });
  const stop = new AbortController();
  const watching = client.watch((state) => states.push(state), stop.signal);
  await seen("connecting");
  assert.match(states[0]!.problem ?? "", /did not answer.*Try: curl/);
  for (const _ of [1, 2]) {
    const worker = await startTestWorker({ executor, port, slots: 3 });
    await seen("connected");
    assert.equal(states.at(-1)?.info?.slots, 3);
    await worker[Symbol.asyncDispose]();
    await seen("lost");
  }
  stop.abort();
  await watching;
  client.close();
});
