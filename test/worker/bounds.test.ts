// What a worker's clients may have open, and what becomes of who wants more.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import {
  createScriptedExecutor,
  eventually,
  execute,
  image,
  startTestWorker,
} from "../rig/worker.js";

function put(url: string, id: string, command = "waits", signal?: AbortSignal) {
  return fetch(`${url}/executions/${id}`, {
    method: "PUT",
    headers: { "content-type": "application/json", "bettertest-lease-ms": "60000" },
    body: JSON.stringify({ image, command }),
    ...(signal && { signal }),
  });
}

async function isRefused(response: Response, words: RegExp) {
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("retry-after"), "10");
  assert.match(await response.text(), words);
}

test("one command too many is refused with 429, those that are known are not", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, slots: 1, maxExecutions: 2 });
  const leaving = new AbortController();
  assert.equal((await put(worker.url, "a", "x", leaving.signal)).status, 200);
  assert.equal((await put(worker.url, "b", "x", leaving.signal)).status, 200);
  await isRefused(await put(worker.url, "c"), /knows 2 commands already/);
  const old = await fetch(`${worker.url}/run`, {
    method: "POST",
    body: JSON.stringify({ image, command: "x" }),
    headers: { "content-type": "application/json" },
  });
  await isRefused(old, /knows 2 commands already/);
  assert.equal((await put(worker.url, "b", "x", leaving.signal)).status, 200);
  await fetch(`${worker.url}/executions/b`, { method: "DELETE" });
  assert.equal((await put(worker.url, "c", "x", leaving.signal)).status, 200);
  leaving.abort();
});

test("one stream too many is refused with 429, and nothing is started; one that ends makes room", async () => {
  const executor = createScriptedExecutor();
  await using worker = await startTestWorker({ executor, slots: 1, maxStreams: 2 });
  const leaving = new AbortController();
  await fetch(`${worker.url}/events`, { signal: leaving.signal });
  const events = await fetch(`${worker.url}/events`);
  await isRefused(await fetch(`${worker.url}/events`), /2 streams are open/);
  await isRefused(await put(worker.url, "a"), /2 streams are open/);
  assert.equal((await fetch(`${worker.url}/executions/a/output`)).status, 404);
  await events.body?.cancel();
  const { signal } = leaving;
  await eventually(async () => (await put(worker.url, "a", "x", signal)).status === 200);
  await isRefused(await fetch(`${worker.url}/executions/a/output`), /2 streams are open/);
  leaving.abort();
});

test("a client that is refused a stream waits for room, and loses nothing", async () => {
  await using worker = await startTestWorker({ executor: "process", maxStreams: 2 });
  const events = await fetch(`${worker.url}/events`);
  // Its events take the last stream, so that there is none for its output.
  // With a lease, as a boss has one: it may be without a stream for a while.
  const client = createWorkerClient(worker.url, { leaseMs: 60_000 });
  const waiting = execute(client, { image, command: "echo all of it; sleep 1; exit 3" });
  await eventually(() => worker.worker.info().running === 1);
  await eventually(() => worker.worker.info().running === 0);
  await events.body?.cancel();
  const { outcome, output } = await waiting;
  assert.deepEqual(outcome, { kind: "exited", exitCode: 3 });
  assert.equal(output.toString(), "all of it\n");
  client.close();
});
