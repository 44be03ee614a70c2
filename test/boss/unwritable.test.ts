import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Database from "libsql";
import { nextHealth } from "../rig/next-health.js";
import { startRig } from "../rig/rig.js";

test("where history cannot be written, a run is refused in words, and works when it can again", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-history-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await using rig = await startRig({
    history: { kind: "durable", folder },
    files: {
      ".bettertest/pipedef.ts": `import { stage } from "bettertest"; stage("s", { t() {} });`,
    },
  });
  const other = new Database(join(folder, "history.db"));
  other.exec("BEGIN IMMEDIATE");
  const refused = await rig.post("/api/runs", {});
  assert.equal(refused.status, 503);
  assert.match(String(refused.body.error), /history\.db cannot be written.*Is the disk full/);
  assert.match(await nextHealth(rig, false), /history\.db cannot be written/);
  assert.equal((await fetch(`${rig.url}/healthz`)).status, 503);
  other.exec("ROLLBACK");
  other.close();
  assert.doesNotMatch(await nextHealth(rig, true), /history\.db/);
  assert.equal((await rig.run()).status, "passed");
});
