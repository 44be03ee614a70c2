import assert from "node:assert/strict";
import { test } from "node:test";
import { startRig } from "../rig/rig.js";

const pipedef = `import { run, stage } from "bettertest";
stage("s", { good: () => run("any", "printf 12345"), bad: () => run("any", "exit 1") });`;

test("one of several workers that is away is a warning, and one that a pipedef names is nobody's", async () => {
  const names = `import { run, stage } from "bettertest";
    stage("s", { far: () => run("http://127.0.0.1:9", "any", "true") });`;
  await using rig = await startRig({
    files: { ".bettertest/pipedef.ts": names },
    infraRetries: 0,
    workerLeaseMs: 100,
  });
  rig.boss.engine.bringWorker("http://127.0.0.1:7", 1);
  assert.equal((await rig.run()).status, "errored");
  for await (const { event, data } of rig.sse("/api/events")) {
    if (event === "workers" && data.includes('"connected"')) break;
  }
  const { ready, reasons } = await rig.get<{ ready: boolean; reasons: string[] }>("/healthz");
  assert.ok(ready);
  assert.match(reasons.join(), /^worker http:\/\/127\.0\.0\.1:7 is [^,]*$/);
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
  assert.match(
    reasons.join(),
    /worker http\S+ is lost: it did not answer .*Is it running\? Try: curl/,
  );
});
