import assert from "node:assert/strict";
import { test } from "node:test";
import { toldOptions } from "../../../src/boss/run/call-options.js";
import { startRig } from "../../rig/rig.js";

const asked = { image: "any", command: "true" };

test("of what may be a secret only the name is told", () => {
  const env = {
    CI: "1",
    MONKEY: "banana",
    GITHUB_TOKEN: "x",
    DB_PASSWORD: "x",
    API_KEY: "x",
    KEY: "x",
    AWS_SECRET_ACCESS_KEY: "x",
    LONG: "y".repeat(5000),
  };
  assert.deepEqual(toldOptions({ ...asked, env, secrets: ["DEPLOY", "KEY"] }), {
    env: { CI: "1", MONKEY: "banana" },
    secrets: [
      "DEPLOY",
      "KEY",
      "GITHUB_TOKEN",
      "DB_PASSWORD",
      "API_KEY",
      "AWS_SECRET_ACCESS_KEY",
      "LONG",
    ],
  });
  assert.deepEqual(toldOptions(asked), {});
});

test("a run's event tells what a call asked for", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        stage("Unit", { one: () => run("WORKER_URL", "any", "true",
          { env: { CI: "1", MY_TOKEN: "hidden" }, workdir: "/tmp", timeout: "5s" }) });`,
    },
  });
  const { stages } = await rig.run();
  const call = stages[0]?.tasks[0]?.attempts[0]?.calls[0];
  assert.deepEqual(
    [call?.env, call?.secrets, call?.workdir, call?.timeoutMs, call?.user],
    [{ CI: "1" }, ["MY_TOKEN"], "/tmp", 5000, undefined],
  );
  assert.doesNotMatch(JSON.stringify(await rig.get("/api/runs/1")), /hidden/);
});
