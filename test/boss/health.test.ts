import assert from "node:assert/strict";
import { test } from "node:test";
import { startRig } from "../rig/rig.js";

const pipedef = `import { run, stage } from "bettertest";
stage("s", { good: () => run("any", "printf 12345"), bad: () => run("any", "exit 1") });`;

test("metrics count what happened, and end as OpenMetrics must", async () => {
  await using rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
  await rig.run();
  await rig.run({ only: ["s.good"] });
  const response = await fetch(`${rig.url}/metrics`);
  assert.match(response.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
  const text = await response.text();
  for (const line of [
    'bettertest_runs_total{verdict="failed"} 1',
    'bettertest_runs_total{verdict="passed"} 1',
    'bettertest_attempts_total{status="passed"} 2',
    'bettertest_attempts_total{status="failed"} 1',
    'bettertest_tasks{status="running"} 0',
    "bettertest_queue_wait_seconds_count 3",
    "bettertest_output_bytes_total 10",
    'bettertest_workers{status="connected"} 1',
  ]) {
    assert.ok(text.split("\n").includes(line), `${line} is missing in:\n${text}`);
  }
  assert.ok(text.endsWith("\n# EOF\n"));
  // A family's type stands right before its samples, and every sample is a name and a number.
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    assert.match(line, /^[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+$/);
  }
});

test("health says ready, and why not", async () => {
  await using rig = await startRig({ files: { ".bettertest/pipedef.ts": pipedef } });
  assert.equal(await (await fetch(`${rig.url}/health`)).text(), "ok\n");
  for await (const { event, data } of rig.sse("/api/events")) {
    if (event === "workers" && data.includes('"connected"')) break;
  }
  assert.deepEqual(await rig.get("/healthz"), { live: true, ready: true, reasons: [] });

  await rig.worker.stop();
  for await (const { event, data } of rig.sse("/api/events")) {
    if (event === "workers" && data.includes('"lost"')) break;
  }
  const response = await fetch(`${rig.url}/healthz`);
  assert.equal(response.status, 503);
  const { reasons } = (await response.json()) as { reasons: string[] };
  assert.match(reasons.join(), /worker http.* is lost/);
});
