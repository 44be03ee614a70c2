import assert from "node:assert/strict";
import { test } from "node:test";
import type { HelloView } from "../../src/wire/boss.js";
import { startRig } from "../rig/rig.js";

test("the stream of everything says that the boss is alive as often as it promises", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("one", { task: () => run("any", "true") });`,
    },
  });
  let promised = 0;
  let heardAt = Date.now();
  for await (const { event, data } of rig.sse("/api/events")) {
    if (event === "hello") promised = (JSON.parse(data) as HelloView).keepAliveMs ?? 0;
    if (event === "alive") {
      assert.equal(JSON.parse(data), null);
      break;
    }
    heardAt = Date.now();
  }
  const silentMs = Date.now() - heardAt;
  assert.ok(promised > 0 && silentMs < 1.5 * promised, `${silentMs} ms of ${promised}`);
});
