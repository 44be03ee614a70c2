// Who may go into a kept sandbox: nobody who may only look, not even to read what others type there.

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessPaths } from "../../src/access/access-paths.js";
import { readAudit } from "../../src/access/audit.js";
import { bearer, startGuarded } from "../rig/guarded.js";

test("a kept sandbox is for those who may change things, and says why there is none", async () => {
  await using guarded = await startGuarded({
    ".bettertest/pipedef.ts": `
      import { run, Stage } from "bettertest";
      export class Unit extends Stage { static task_red() { return run("none", "exit 3"); } }`,
  });
  const { rig, url, token, readOnlyToken } = guarded;
  const { engine } = rig.boss;
  const started = engine.start({ trigger: "test", keepFailedMs: 60_000 });
  assert.ok(started.ok);
  await engine.finished(started.run);
  const task = `${url}/api/runs/${started.run}/tasks/Unit/task_red`;
  const ask = async (method: string, path: string, as: string) => {
    const body = method === "POST" ? "{}" : null;
    const response = await fetch(path, { method, headers: bearer(as), body });
    return { status: response.status, text: await response.text() };
  };
  for (const [method, path] of [
    ["POST", "terminals"],
    ["GET", "terminals/x/output"],
    ["POST", "terminals/x/input"],
    ["POST", "terminals/x/size"],
    ["POST", "release"],
  ] as const) {
    assert.equal((await ask(method, `${task}/${path}`, readOnlyToken)).status, 403, path);
  }
  assert.deepEqual(await ask("GET", `${url}/api/kept`, readOnlyToken), { status: 200, text: "[]" });
  const { status, text } = await ask("POST", `${task}/terminals`, token);
  assert.equal(status, 404);
  assert.match(text, /was not kept: the process executor keeps no sandboxes/);
  const actions = readAudit(accessPaths(guarded.data).audit).map(({ action }) => action);
  assert.ok(!actions.includes("sandbox-entered"));
});
