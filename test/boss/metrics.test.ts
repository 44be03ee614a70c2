import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { noParser, parseOpenMetrics, sampleOf } from "../rig/openmetrics.js";
import { startRig } from "../rig/rig.js";
import { startTestWorker } from "../rig/worker.js";

const pipedef = `import { run, stage } from "bettertest";
stage("s", { good: () => run("any", "printf 12345"), bad: () => run("any", "exit 1") })
  .task("flaky", () => run("any", "exit 1"), { retries: 1 });`;

async function metricsOf(url: string) {
  const response = await fetch(`${url}/metrics`);
  assert.match(response.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
  return parseOpenMetrics(await response.text());
}

test("a boss's metrics count what happened", { skip: noParser }, async () => {
  await using rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
  assert.equal(
    sampleOf(await metricsOf(rig.url), "bettertest_runs_total", { verdict: "passed" }),
    0,
  );
  await rig.run();
  await rig.run({ only: ["s.good"] });
  const families = await metricsOf(rig.url);
  const is = (value: number, name: string, labels?: Record<string, string>) =>
    assert.equal(sampleOf(families, name, labels), value, `${name} ${JSON.stringify(labels)}`);
  is(1, "bettertest_runs_total", { verdict: "failed" });
  is(1, "bettertest_runs_total", { verdict: "passed" });
  is(2, "bettertest_attempts_total", { status: "passed" });
  is(3, "bettertest_attempts_total", { status: "failed" });
  is(1, "bettertest_attempts_retried_total");
  is(0, "bettertest_tasks", { status: "running" });
  is(4, "bettertest_queue_wait_seconds_count");
  is(5, "bettertest_start_latency_seconds_count");
  is(10, "bettertest_output_bytes_total");
  is(1, "bettertest_workers", { status: "connected" });
  is(2, "bettertest_slots");
  is(0, "bettertest_sse_readers");
  assert.ok(sampleOf(families, "process_resident_memory_bytes")! > 10 * 2 ** 20);
});

test("tasks and readers are counted while they are there", { skip: noParser }, async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("s", { long: () => run("any", "sleep 600") });
        stage("later", { t: () => run("any", "true") });`,
    },
  });
  const ended = rig.run();
  for await (const { event } of rig.sse("/api/events?after=0")) {
    if (event !== "call-started") continue;
    const families = await metricsOf(rig.url);
    assert.equal(sampleOf(families, "bettertest_sse_readers"), 1);
    assert.equal(sampleOf(families, "bettertest_tasks", { status: "running" }), 1);
    assert.equal(sampleOf(families, "bettertest_tasks", { status: "waiting" }), 1);
    assert.equal(sampleOf(families, "bettertest_runs_under_way", { status: "running" }), 1);
    break;
  }
  rig.boss.engine.cancel(1, "test");
  await ended;
});

test("a worker's metrics count its commands", { skip: noParser }, async () => {
  await using worker = await startTestWorker({ executor: "process", slots: 3 });
  await worker.execute("printf 12345");
  await worker.execute("exit 3");
  await worker.execute("sleep 600", { timeoutMs: 50 });
  // The process executor cannot: its sandbox is not made.
  await worker.execute("true", { network: false });
  const families = await metricsOf(worker.url);
  const is = (value: number, name: string, labels?: Record<string, string>) =>
    assert.equal(sampleOf(families, name, labels), value, `${name} ${JSON.stringify(labels)}`);
  is(2, "bettertest_worker_executions_total", { outcome: "exited" });
  is(1, "bettertest_worker_executions_total", { outcome: "timed-out" });
  is(1, "bettertest_worker_executions_total", { outcome: "faulted" });
  is(3, "bettertest_worker_sandbox_start_seconds_count");
  is(1, "bettertest_worker_engine_errors_total");
  is(5, "bettertest_worker_output_bytes_total");
  is(3, "bettertest_worker_slots");
  is(0, "bettertest_worker_queued");
});

test("the dashboard shows every metric there is, and none that is not", async () => {
  await using rig = await startRig({
    files: { ".bettertest/pipedef.ts": pipedef },
    // With a receiver for traces that is not there.
    otlp: "http://127.0.0.1:9",
  });
  const texts = await Promise.all(
    [rig.url, rig.worker.url].map(async (url) => (await fetch(`${url}/metrics`)).text()),
  );
  const exported = new Set(
    texts
      .join("")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => /^\w+/.exec(line)![0])
      // Of a histogram, a dashboard asks for the buckets.
      .filter((name) => !/_seconds_(sum|count)$/.test(name)),
  );
  const dashboard = readFileSync(
    fileURLToPath(new URL("../../../docs/grafana-dashboard.json", import.meta.url)),
    "utf8",
  );
  const expressions = [...dashboard.matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g)].map(
    ([, text]) => text,
  );
  const shown = new Set(
    expressions.flatMap((text) => text!.match(/\b(bettertest|process|nodejs)_\w+/g) ?? []),
  );
  assert.deepEqual([...shown].sort(), [...exported].sort());
});
