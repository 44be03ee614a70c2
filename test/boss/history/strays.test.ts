import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openHistory } from "../../../src/boss/history/history.js";
import { runCreated } from "../../contracts/store.js";

test("folders of runs that a boss was killed in the middle of deleting go at the next start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-strays-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const open = () => openHistory({ kind: "durable", folder }, { maxOutputBytes: 1 });
  const first = await open();
  const ids = [1, 2, 3].map(() => first.store.nextRunId());
  first.store.append(ids[1]!, runCreated());
  await first.close();
  // The last one is of a run that this history has not heard of: it may be an older copy.
  for (const name of ["1", "2", "3", "import-x", "77"])
    mkdirSync(join(folder, "outputs", name, "files"), { recursive: true });
  const second = await open();
  assert.deepEqual(readdirSync(join(folder, "outputs")).sort(), ["2", "77"]);
  await second.close();
});
