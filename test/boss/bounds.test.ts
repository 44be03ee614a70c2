// What one client can ask for without hurting another.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { startRig } from "../rig/rig.js";

const files = {
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    stage("s", { t: () => run("any", "echo 0123456789; sleep 600") });`,
};

test("runs that wait are limited: 429, and when to try again", async () => {
  await using rig = await startRig({ files, concurrentRuns: 1, maxQueuedRuns: 2 });
  const ask = () => fetch(`${rig.url}/api/runs`, { method: "POST" });
  for (let n = 0; n < 3; n++) assert.equal((await ask()).status, 201);
  const refused = await ask();
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("retry-after"), "10");
  assert.match(await refused.text(), /2 runs are waiting already/);
  await rig.post("/api/runs/3/cancel");
  await rig.boss.engine.finished(3);
  assert.equal((await ask()).status, 201);
});

test("streams are limited: 429; one that ends makes room, and a HEAD takes none", async () => {
  await using rig = await startRig({ files });
  const { streams } = rig.boss.engine;
  for (let n = 0; n < 3; n++) await fetch(`${rig.url}/api/events`, { method: "HEAD" });
  assert.equal(streams.open, 0);
  const leaving = new AbortController();
  await fetch(`${rig.url}/api/events`, { signal: leaving.signal });
  Object.defineProperty(streams, "limit", { value: streams.open });
  const refused = await fetch(`${rig.url}/api/events`);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("retry-after"), "10");
  assert.match(await refused.text(), /streams are open/);
  leaving.abort();
  while (streams.open > 0) await new Promise(setImmediate);
  const again = await fetch(`${rig.url}/api/events`);
  assert.equal(again.status, 200);
  await again.body?.cancel();
});

test("a reader that follows may say how many bytes it wants", async () => {
  await using rig = await startRig({ files });
  await rig.post("/api/runs");
  for await (const { event } of rig.sse("/api/runs/1/events")) if (event === "call-started") break;
  const path = "/api/runs/1/tasks/s/t/output?follow=1&offset=2&limit=5";
  assert.equal(await (await fetch(rig.url + path)).text(), "23456");
});

test("headers that are too large are refused with 431, a body with 413", async () => {
  await using rig = await startRig({ files });
  const { hostname, port } = new URL(rig.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /health HTTP/1.1\r\nHost: ${hostname}\r\nX: ${"x".repeat(100_000)}\r\n\r\n`);
  let answer = "";
  for await (const chunk of socket) answer += chunk;
  assert.match(answer, /^HTTP\/1\.1 431 /);
  const large = await rig.post("/api/runs", { pipeline: "x".repeat(2 ** 21) }).catch(String);
  assert.ok(typeof large === "string" || large.status === 413);
});
