import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../../src/cli/log.js";
import { startCli, tempRepo } from "./rig.js";

const nasty = "first\nrun 7 passed\r\n\x1b[2J\x1b]0;title\x07\u009b31m\u202eevil\u2028end";

test("a record cannot forge another one, nor act on a terminal", () => {
  let text = "";
  const write = (part: string) => {
    text += part;
  };
  createLog("text", write)(nasty);
  assert.equal(text, "first\n  run 7 passed\n  evilend\n");

  text = "";
  const fields = { worker: nasty, time: "never", level: "none", msg: "forged" };
  createLog("json", write)(nasty, { level: "warn", fields });
  assert.match(text, /^[\x20-\x7e]+\n$/);
  const record = JSON.parse(text);
  assert.equal(record.msg, nasty);
  assert.equal(record.worker, nasty);
  assert.equal(record.level, "warn");
  assert.ok(Date.parse(record.time) > 0);
});

test("up --log-format json: every line is an object, and a run can be followed in it", async () => {
  using repo = tempRepo({
    ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
      console.log("loading\\nforged");
      stage("s", { bad: () => run("any", "true", { network: false }) });`,
  });
  const ports = ["--port", "0", "--worker-port", "0"];
  const up = startCli(["up", ...ports, "--executor", "process", "--log-format", "json"], {
    cwd: repo.folder,
  });
  const boss = /"msg":"boss at [^\n]*"url":"(http[^"]+)"[^\n]*\n/;
  const url = boss.exec(await up.prints(boss, "stderr"))![1]!;
  assert.equal((await fetch(`${url}/api/runs`, { method: "POST" })).status, 201);
  await up.prints(/"verdict":"errored"/, "stderr");
  up.child.kill("SIGTERM");
  const { stdout, stderr, exitCode } = await up.ended;
  assert.equal(exitCode, 0);
  assert.equal(stdout, "");
  const records = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const record of records) {
    assert.deepEqual(Object.keys(record).slice(0, 3), ["time", "level", "msg"]);
  }
  const story = records.filter(({ run }) => run === 1).map(({ level, msg }) => `${level} ${msg}`);
  assert.match(story[0]!, /^info run 1 of \S+ was asked for by api$/);
  assert.match(story[1]!, /^warn run 1: attempt 1 of s\.bad errored: /);
  assert.match(story.at(-1)!, /^error run 1 errored after /);
  assert.ok(records.some(({ msg }) => msg === "stopping"));
});
