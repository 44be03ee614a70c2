// A task that prints without end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { glance, startRig } from "../rig/rig.js";

const mib = 2 ** 20;

test("a flood is capped and marked, keeps its verdict, and costs neither memory nor the others", async () => {
  await using rig = await startRig({
    slots: 3,
    maxOutputBytes: 2 * mib,
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        const s = stage("s");
        s.task("flood", () => run("any", "yes flooding | head -c 1000000000; echo the end; exit 7"));
        s.task("printer", () => { for (let i = 0; i < 300_000; i++) console.log("line " + i); });
        s.task("quiet", () => run("any", "echo quiet"));`,
    },
  });
  const before = process.memoryUsage().rss;
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 50);
  const run = await rig.run();
  clearInterval(watch);
  assert.deepEqual(glance(run), ["s.flood failed", "s.printer passed", "s.quiet passed"]);
  const end = run.stages[0]?.tasks[0]?.attempts[0]?.end;
  assert.deepEqual(
    end?.status === "failed" && end.failure.kind === "exit" && end.failure.exitCode,
    7,
  );

  const flood = await rig.output(run.id, "s", "flood");
  assert.ok(flood.length < 3 * mib, `${flood.length} bytes`);
  assert.match(flood, /\n\[\d+ bytes are missing here: output is limited to 2\.\d MiB\]\n/);
  assert.ok(flood.startsWith("flooding\nflooding\n") && flood.endsWith("the end\n"));

  const printed = await rig.output(run.id, "s", "printer");
  assert.ok(printed.startsWith("line 0\n") && printed.endsWith("line 299999\n"));
  assert.match(printed, /bytes are missing here/);
  assert.equal(await rig.output(run.id, "s", "quiet"), "quiet\n");
  // Boss, worker, pipedef and this test share a process; what was printed is more than all may take.
  assert.ok(most - before < 700 * mib, `${Math.round((most - before) / mib)} MiB more than before`);
});
