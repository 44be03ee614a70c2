// A boss that is killed, and started again on the same folder.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { RunSnapshot, RunSummary } from "../../src/wire/boss.js";
import { type RunningCli, startCli, tempRepo } from "../cli/rig.js";
import { glance } from "../rig/rig.js";

const pipedef = `import { run, stage } from "bettertest";
stage("one", {
  quick: () => run("any", "echo quick"),
  long: () => run("any", "echo long; sleep 600"),
});
stage("two", { later: () => run("any", "true") });`;

async function addressOf(up: RunningCli): Promise<string> {
  return /http:\/\/\S+/.exec(/boss\s+(\S+)/.exec(await up.prints(/boss\s+http\S+/))![1]!)![0];
}

test("boss and worker in one process, killed: what ended stays, what ran is run again, never red or green", async () => {
  using repo = tempRepo({ ".bettertest/pipedef.ts": pipedef });
  const data = join(repo.folder, "data");
  const start = () =>
    startCli(
      [
        "up",
        "--executor",
        "process",
        "--slots",
        "2",
        "--port",
        "0",
        "--worker-port",
        "0",
        "--data",
        data,
      ],
      { cwd: repo.folder },
    );
  const first = start();
  const url = await addressOf(first);
  assert.equal((await fetch(`${url}/api/runs`, { method: "POST" })).status, 201);
  const events = await fetch(`${url}/api/events?after=0`);
  let seen = "";
  for await (const chunk of events.body!) {
    seen += Buffer.from(chunk).toString();
    // One task has ended, the other is in its command.
    if (/event: attempt-finished/.test(seen) && /"task":"long"[^\n]*"sandbox"/.test(seen)) break;
  }
  first.child.kill("SIGKILL");
  await first.ended;

  const second = start();
  try {
    const again = await addressOf(second);
    const json = async <T>(path: string) => (await (await fetch(again + path)).json()) as T;
    for await (const chunk of (await fetch(`${again}/api/runs/1/events`)).body!) {
      // Its worker went with the boss, so it is another attempt; the first says why it ended.
      if (/"task":"long","attempt":2[^\n]*"sandbox"/.test(Buffer.from(chunk).toString())) break;
    }
    const { run } = await json<RunSnapshot>("/api/runs/1");
    assert.equal(run.status, "running");
    assert.deepEqual(glance(run), ["one.quick passed", "one.long running", "two.later waiting"]);
    const [first] = run.stages[0]!.tasks[1]!.attempts;
    assert.match(JSON.stringify(first?.end), /errored.*the boss was killed in the middle/);
    await fetch(`${again}/api/runs/1/cancel`, { method: "POST" });
    for await (const _ of (await fetch(`${again}/api/runs/1/events`)).body!);
    const output = await fetch(`${again}/api/runs/1/tasks/one/quick/output`);
    assert.equal(await output.text(), "quick\n");

    const response = await fetch(`${again}/api/runs`, {
      method: "POST",
      body: JSON.stringify({ only: ["one.quick"] }),
    });
    assert.deepEqual(await response.json(), { run: 2 });
    for await (const _ of (await fetch(`${again}/api/runs/2/events`)).body!);
    const listed = await json<RunSummary[]>("/api/runs");
    assert.deepEqual(
      listed.map(({ id, status }) => [id, status]),
      [
        [2, "passed"],
        [1, "cancelled"],
      ],
    );
  } finally {
    second.child.kill("SIGTERM");
    assert.equal((await second.ended).exitCode, 0);
  }
});

test("a second boss on the same folder is told so", async () => {
  using repo = tempRepo({ ".bettertest/pipedef.ts": pipedef });
  const args = ["boss", "--port", "0", "--data", join(repo.folder, "data")];
  const first = startCli(args, { cwd: repo.folder });
  await addressOf(first);
  const { exitCode, stderr } = await startCli(args, { cwd: repo.folder }).ended;
  assert.equal(exitCode, 3);
  assert.match(stderr, /in use by another boss \(process \d+\)/);
  first.child.kill("SIGTERM");
  await first.ended;
});
