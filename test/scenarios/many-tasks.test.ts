// Many tasks on few slots, and what happens to them when somebody loses patience.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LoggedEvent } from "../../src/model/events.js";
import { cli, jsonLines, startCli, tempRepo, waitFor } from "../cli/rig.js";
import { image, noDocker } from "../rig/docker.js";
import { containersOf } from "../rig/worker.js";

/** Each costs a container of its own. More of them by hand: BETTERTEST_TEST_TASKS=300. */
const count = Number(process.env.BETTERTEST_TEST_TASKS ?? 40);

function manyTasks(command = "true") {
  return tempRepo({
    ".bettertest/pipedef.ts": `
      import { run, stage } from "bettertest";
      const many = stage("many");
      for (let i = 0; i < ${count}; i++) many.task("t" + i, () => run("${image}", "echo " + i + "; ${command}"));`,
  });
}

function events(stdout: string): LoggedEvent["event"][] {
  return jsonLines(stdout)
    .filter((line) => line.type === "event")
    .map((line) => line.event as LoggedEvent["event"]);
}

describe("many tasks in one stage on 2 slots", { skip: noDocker() }, () => {
  test("end right, in order of start, with no container left", async () => {
    using repo = manyTasks();
    const program = startCli(["run", "--slots", "2", "--json"], { cwd: repo.folder });
    const { exitCode, stdout } = await program.ended;
    assert.equal(exitCode, 0, stdout.slice(-2000));
    const started: string[] = [];
    let passed = 0;
    let running = 0;
    let most = 0;
    for (const event of events(stdout)) {
      if (event.type === "attempt-started") {
        started.push(event.task);
        most = Math.max(most, ++running);
      }
      if (event.type === "attempt-finished") {
        running -= 1;
        if (event.end.status === "passed") passed += 1;
      }
    }
    assert.equal(passed, count);
    assert.equal(most, 2);
    assert.deepEqual(
      started,
      Array.from({ length: count }, (_, i) => `t${i}`),
    );
    assert.deepEqual(containersOf(program.child.pid!), []);
  });

  test("end at Ctrl-C in the middle, with exit code 130 and no container left", async () => {
    using repo = manyTasks("sleep 0.2");
    const program = startCli(["run", "--slots", "2", "--json"], { cwd: repo.folder });
    await program.prints(/"attempt-finished"[^\n]*"task":"t20"/);
    program.child.kill("SIGINT");
    const { exitCode, stdout } = await program.ended;
    assert.equal(exitCode, 130);
    assert.equal(events(stdout).at(-1)?.type, "run-finished");
    assert.deepEqual(containersOf(program.child.pid!), []);
  });

  test("a killed worker makes them errored, not red; started again it clears up and works", async () => {
    using repo = manyTasks("sleep 0.2");
    const worker = () => startCli(["worker", "--port", "0", "--slots", "2"]);
    const addressOf = async (program: ReturnType<typeof worker>) =>
      /http:\/\/[\w.:]+\d/.exec(await program.prints(/http:\/\/[\w.:]+\d/))![0];

    const first = worker();
    // Without a lease and tries again: a worker that is gone is gone.
    const program = startCli(
      [
        ...["run", "--worker", await addressOf(first), "--json"],
        ...["--worker-lease", "0", "--infra-retries", "0"],
      ],
      { cwd: repo.folder },
    );
    await program.prints(/"attempt-finished"[^\n]*"task":"t10"/);
    first.child.kill("SIGKILL");
    const { exitCode, stdout } = await program.ended;
    assert.equal(exitCode, 3, stdout.slice(-2000));
    const ends = events(stdout).flatMap((event) =>
      event.type === "attempt-finished" ? [event.end.status] : [],
    );
    assert.deepEqual([...new Set(ends)].sort(), ["errored", "passed"]);

    const second = worker();
    try {
      const url = await addressOf(second);
      await waitFor(() => containersOf(first.child.pid!).length === 0);
      const again = await cli(["run", "--worker", url, "--only", "many.t7", "--json"], {
        cwd: repo.folder,
      });
      assert.equal(again.exitCode, 0, again.stdout);
    } finally {
      second.child.kill("SIGTERM");
      await second.ended;
    }
    assert.deepEqual(containersOf(second.child.pid!), []);
  });

  test("a worker stopped by SIGTERM, without a grace, ends its sandboxes and exits within 12 s", async () => {
    using repo = manyTasks("trap '' TERM; sleep 600");
    const worker = startCli(["worker", "--port", "0", "--slots", "2", "--grace", "0"]);
    const url = /http:\/\/[\w.:]+\d/.exec(await worker.prints(/http:\/\/[\w.:]+\d/))![0];
    const program = startCli(["run", "--worker", url, "--json", "--infra-retries", "0"], {
      cwd: repo.folder,
    });
    await program.prints(/"call-started"/);
    const stopped = Date.now();
    worker.child.kill("SIGTERM");
    assert.equal((await worker.ended).exitCode, 0);
    assert.ok(Date.now() - stopped < 12_000, `it took ${Date.now() - stopped} ms`);
    assert.deepEqual(containersOf(worker.child.pid!), []);
    assert.equal((await program.ended).exitCode, 3);
  });

  test("a boss stopped by SIGTERM ends its sandboxes and exits within 12 s", async () => {
    using repo = manyTasks("trap '' TERM; sleep 600");
    const up = startCli(["up", "--port", "0", "--worker-port", "0", "--slots", "2"], {
      cwd: repo.folder,
    });
    const url = /http:\/\/[\w.:]+\d/.exec(await up.prints(/http:\/\/[\w.:]+\d/))![0];
    await fetch(`${url}/api/runs`, { method: "POST" });
    const response = await fetch(`${url}/api/runs/1/events`);
    for await (const chunk of response.body!) {
      if (Buffer.from(chunk).includes("call-started")) break;
    }
    const stopped = Date.now();
    up.child.kill("SIGTERM");
    await up.ended;
    assert.ok(Date.now() - stopped < 12_000, `it took ${Date.now() - stopped} ms`);
    assert.deepEqual(containersOf(up.child.pid!), []);
  });
});
