import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { cli, jsonLines, pipedefOf, startCli, tempRepo, urlOf, waitFor } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";
const free = ["--executor", "process", "--port", "0", "--worker-port", "0"];
const stages = pipedefOf({
  Build: { compile: "echo compiled" },
  Test: { good: "echo fine", bad: "printf 'oh no\\nno newline'; exit 7" },
});

suite("up", () => {
  test("a home that cannot be written: what it wanted there, and the flag for another place", async () => {
    using repo = tempRepo({ [pipedef]: stages, "no-folder": "" });
    const { exitCode, stderr } = await cli(
      ["up", "--executor", "process", "--port", "19901", "--worker-port", "0"],
      {
        cwd: repo.folder,
        env: { HOME: `${repo.folder}/no-folder` },
      },
    );
    assert.equal(exitCode, 3);
    assert.match(stderr, /folder for runs cannot be made .*ENOTDIR.*--data DIR/);
  });

  test("says when a pipedef is loaded again, and when it breaks", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    for (const json of [false, true]) {
      const up = startCli(["up", ...free, ...(json ? ["--json"] : [])], { cwd: repo.folder });
      await up.prints(json ? /"type":"boss"/ : /Ctrl-C/);
      repo.write(pipedef, "this is no TypeScript");
      await up.prints(
        json ? /"type":"pipeline".*"problem":"[^"]/ : /cannot be used, runs use it as/,
      );
      repo.write(pipedef, stages);
      await up.prints(json ? /"type":"pipeline".*"problem":null/ : /is loaded again: \d+ stage/);
      up.child.kill("SIGTERM");
      assert.equal((await up.ended).exitCode, 0);
    }
  });

  test("serves runs to the client commands, and ends in time with what still runs", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const up = startCli(["up", ...free, "--grace", "1s", "--json"], { cwd: repo.folder });
    const boss = ["--boss", await urlOf(up, "boss")];
    const url = boss[1] ?? "";
    const client = (...args: string[]) => cli([...args, ...boss], { cwd: "/" });

    assert.equal((await client("runs")).stdout, "no runs yet\n");
    const start = await fetch(`${url}/api/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(start.status, 201);

    // logs -f of the whole run waits for its end; its own work is done whatever the verdict.
    const followed = await client("logs", "1", "--follow");
    assert.equal(followed.exitCode, 0);
    assert.match(
      followed.stdout,
      /│ compiled\n[\s\S]*│ oh no\n[\s\S]*FAILED {2}1 failed · 2 passed/,
    );

    // One task to a pipe: its bytes, nothing added.
    assert.equal((await client("logs", "1", "Test.task_bad")).stdout, "oh no\nno newline");
    assert.match((await client("logs", "1")).stdout, /✓ Test\.task_good {2}.*\n {2}│ fine\n/);
    assert.match(
      (await client("logs", "1", "Test.task_nope")).stderr,
      /run 1 has no task "Test\.task_nope"/,
    );

    const rerun = await client("rerun", "1", "--failed", "--follow", "--json");
    assert.equal(rerun.exitCode, 1);
    const result = jsonLines(rerun.stdout).at(-1);
    assert.deepEqual([result?.run, result?.verdict], [2, "failed"]);

    const listed = JSON.parse((await client("runs", "--json")).stdout);
    assert.deepEqual(
      listed.runs.map((run: { id: number; status: string; trigger: string }) => [
        run.id,
        run.status,
      ]),
      [
        [2, "failed"],
        [1, "failed"],
      ],
    );
    assert.match((await client("runs")).stdout, /^RUN {2}STATUS .*\n {2}2 {2}✗ failed /);

    const late = await client("cancel", "1");
    assert.equal(late.exitCode, 2);
    assert.match(late.stderr, /run 1 has .*ended/);
    assert.equal((await client("cancel", "77")).exitCode, 2);

    // A command that would go on for an hour when the end is asked for.
    repo.write(pipedef, pipedefOf({ Slow: { sleeper: "sleep 3600" } }));
    await waitFor(async () =>
      (await (await fetch(`${url}/api/pipelines`)).text()).includes("sleeper"),
    );
    await fetch(`${url}/api/runs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    const watching = startCli(["logs", "3", "-f", "--json", ...boss]);
    await watching.prints("call-started");
    const began = performance.now();
    up.child.kill("SIGTERM");
    assert.equal((await up.ended).exitCode, 0);
    assert.ok(performance.now() - began < 13_000);
    // A boss without a folder for its history cannot go on with a run later: it is cancelled, and said so.
    assert.equal((await watching.ended).exitCode, 130);
  });

  test("logs -f of a task goes on through its attempts, and says of one that never starts", async () => {
    using repo = tempRepo({});
    repo.write(
      pipedef,
      `import { run, stage } from "bettertest";
stage("A")
  .task("twice", () => run("none", "echo one; test -e again || { touch again; while ! test -e go; do sleep 0.1; done; exit 1; }; echo two"), { retries: 1 })
  .task("red", () => run("none", "while ! test -e go; do sleep 0.1; done; exit 1"));
stage("B").task("never", () => run("none", "true"));`,
    );
    const up = startCli(["up", ...free, "--json", "--data", "data"], { cwd: repo.folder });
    const url = await urlOf(up, "boss");
    const headers = { "content-type": "application/json" };
    await fetch(`${url}/api/runs`, { method: "POST", headers, body: "{}" });
    await waitFor(() => existsSync(`${repo.folder}/again`));
    const boss = ["--boss", url];
    const twice = startCli(["logs", "1", "A.twice", "-f", ...boss]);
    const never = startCli(["logs", "1", "B.never", "-f", ...boss]);
    const service = startCli(["logs", "1", "B.never", "-f", "--service", "db", ...boss]);
    await twice.prints("one\n");
    // Whether the others have begun to wait by now or not, what they say is the same.
    repo.write("go", "");
    assert.deepEqual(await twice.ended, { exitCode: 0, stdout: "one\none\ntwo\n", stderr: "" });
    for (const waiting of [never, service]) {
      const { exitCode, stdout, stderr } = await waiting.ended;
      assert.deepEqual([exitCode, stdout], [0, ""]);
      assert.match(stderr, /^B\.never was skipped: .+\n$/);
    }
    up.child.kill("SIGTERM");
    assert.equal((await up.ended).exitCode, 0);
  });

  test("a broken pipedef is said at the start, and served when it is mended", async () => {
    using repo = tempRepo({ [pipedef]: "const a = ;\n" });
    const up = startCli(["up", "--executor", "process", "--port", "0", "--worker-port", "0"], {
      cwd: repo.folder,
    });
    const out = await up.prints("Ctrl-C stops.");
    assert.match(out, /^worker {2}http:\/\/localhost:\d+ {2}process \(not isolated/);
    assert.match(out, /^boss {4}http:\/\/localhost:\d+$/m);
    assert.match(out, /pipedef\.ts:1:11: /);
    const url = /^boss +(\S+)$/m.exec(out)?.[1];
    repo.write(pipedef, stages);
    await waitFor(async () =>
      (await (await fetch(`${url}/api/pipelines`)).text()).includes("task_good"),
    );
    up.child.kill("SIGINT");
    assert.equal((await up.ended).exitCode, 0);
  });

  test("without a pipedef nothing starts", async () => {
    using repo = tempRepo({});
    const { exitCode, stdout, stderr } = await cli(["up", ...free], { cwd: repo.folder });
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, /no pipedef found/);
  });
});

suite("boss and worker", () => {
  test("apart, in the original's spelling", async () => {
    using repo = tempRepo({ [pipedef]: stages, "b/.bettertest/pipedef.js": stages });
    const worker = startCli(["--worker", "--executor", "process", "--port", "0", "--json"]);
    const workerUrl = await urlOf(worker, "worker");
    assert.equal(await (await fetch(`${workerUrl}/health`)).text(), "ok\n");

    const boss = startCli(
      [
        "--boss",
        "--pipedef",
        pipedef,
        "--pipedef",
        "b",
        "--worker",
        workerUrl,
        "--port",
        "0",
        "--json",
      ],
      { cwd: repo.folder },
    );
    const url = await urlOf(boss, "boss");
    const pipelines = await (await fetch(`${url}/api/pipelines`)).json();
    assert.equal(Array.isArray(pipelines) ? pipelines.length : 0, 2);

    for (const running of [boss, worker]) {
      running.child.kill("SIGTERM");
      assert.equal((await running.ended).exitCode, 0);
    }
  });

  test("a taken port: which, by whom, and another one", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const server = createServer((_, response) => response.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      for (const role of ["boss", "worker"]) {
        const executor = role === "worker" ? ["--executor", "process"] : [];
        const args = [role, "--port", String(port), ...executor];
        const { exitCode, stderr } = await cli(args, { cwd: repo.folder });
        assert.equal(exitCode, 3);
        assert.ok(
          stderr.startsWith(`bettertest: the ${role} cannot start: port ${port} is taken by `),
          stderr,
        );
        if (process.platform === "linux")
          assert.match(stderr, new RegExp(`\\(pid ${process.pid}\\)`));
        assert.match(stderr, /--port \d+/);
      }
    } finally {
      server.close();
    }
  });

  test("no boss: what, where, what to try", async () => {
    const { exitCode, stdout, stderr } = await cli(["runs", "--boss", "http://127.0.0.1:1"]);
    assert.deepEqual([exitCode, stdout], [3, ""]);
    assert.match(
      stderr,
      /no boss answers at http:\/\/127\.0\.0\.1:1 .*Try: bettertest up, or .*--boss URL/,
    );
  });

  test("something else answers where the boss should be", async () => {
    const server = createServer((_, response) => response.end("<html>"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const { exitCode, stderr } = await cli(["runs", "--boss", `127.0.0.1:${port}`]);
      assert.equal(exitCode, 3);
      assert.match(stderr, /is not a boss this version understands/);
    } finally {
      server.close();
    }
  });
});
