import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createAudit, readAudit } from "../../src/access/audit.js";
import { Sessions } from "../../src/access/sessions.js";

test("whoever logs in without end ends their own sessions alone", () => {
  const sessions = new Sessions(null, () => {});
  const mine = sessions.open("main", 0);
  const first = sessions.open("eyes", 0);
  let last = "";
  for (let count = 0; count < 1500; count++) last = sessions.open("eyes", 1);
  assert.equal(sessions.tokenOf(mine, 2), "main");
  assert.equal(sessions.tokenOf(first, 2), null);
  assert.equal(sessions.tokenOf(last, 2), "eyes");
});

test("logins and failed ones without end push nothing out of the audit log that others did", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-audit-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "audit.log");
  const audit = createAudit(path, assert.fail);
  const actor = { via: "login", address: "127.0.0.1" };
  audit.write("run-started", { ...actor, name: "main", access: "full" }, { run: 1 });
  // More than two files of 10 MiB.
  const name = "x".repeat(100_000);
  for (let count = 0; count < 120; count++) {
    audit.write("login", { ...actor, name, access: "read" });
    audit.write("login-failed", { ...actor, name, access: null });
  }
  audit.write("run-cancelled", { ...actor, name: "main", access: "full" }, { run: 1 });
  const entries = readAudit(path);
  const byMain = entries.filter(({ by }) => by === "main").map(({ action }) => action);
  assert.deepEqual(byMain, ["run-started", "run-cancelled"]);
  assert.ok(entries.length > 100 && entries.length < 240);
});
