// What has to be shown with real containers: the default executor, and that none is left behind.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { suite, test } from "node:test";
import { cli, jsonLines, pipedefOf, startCli, tempRepo, waitFor } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";
const engine = spawnSync("docker", ["image", "inspect", "bettertest-base"]).status === 0;
const skip = engine ? false : "no Docker engine with the image bettertest-base";

/** Of the containers the program named in its events, those that still exist. */
function leftOver(stdout: string): string[] {
  const sandboxes = jsonLines(stdout).flatMap(({ event }) => {
    const started = event as { type: string; sandbox?: string } | undefined;
    return started?.type === "call-started" && started.sandbox ? [started.sandbox] : [];
  });
  assert.ok(sandboxes.length > 0, stdout);
  const names = execFileSync(
    "docker",
    ["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}"],
    {
      encoding: "utf8",
    },
  );
  return sandboxes.filter((sandbox) => names.includes(sandbox));
}

suite("run with Docker", { skip }, () => {
  test("docker is what it takes when nothing is said", async () => {
    using repo = tempRepo({
      [pipedef]: pipedefOf({ A: { where: "test -f /.dockerenv && echo inside" } }),
    });
    const { exitCode, stdout } = await cli(["run", "--json", "--output", "all"], {
      cwd: repo.folder,
    });
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /"line":"inside"/);
    assert.deepEqual(leftOver(stdout), []);
  });

  test("what the last run needed is started while the pipedef of the next one loads", async () => {
    // Of nobody else.
    const image = `bettertest-ahead-${process.pid}`;
    const dockerfile = `FROM bettertest-base\nLABEL ahead=${process.pid}\n`;
    execFileSync("docker", ["build", "-q", "-t", image, "-"], { input: dockerfile });
    try {
      using repo = tempRepo({
        [pipedef]: `import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { run, stage } from "bettertest";
const sandboxes = () => execFileSync("docker", ["ps", "-q", "--filter", "label=ahead=${process.pid}"], { env: { PATH: ${JSON.stringify(process.env.PATH)} } });
const until = Date.now() + 20_000;
while (existsSync("second") && sandboxes().length === 0) {
  if (Date.now() > until) throw new Error("no sandbox has been started");
}
stage("A").task("one", () => run("${image}", "true"));`,
      });
      const env = { HOME: repo.folder };
      const first = await cli(["run", "--json"], { cwd: repo.folder, env });
      assert.equal(first.exitCode, 0, first.stdout);
      repo.write("second", "");
      const second = await cli(["run", "--json"], { cwd: repo.folder, env });
      assert.equal(second.exitCode, 0, second.stdout);
      const left = ["ps", "-aq", "--filter", `label=ahead=${process.pid}`];
      assert.equal(execFileSync("docker", left).length, 0);
    } finally {
      execFileSync("docker", ["rmi", image]);
    }
  });

  test("Ctrl-C in the middle of many tasks leaves no container", async () => {
    const many = `import { run, stage } from "bettertest";
const all = stage("Many");
for (let n = 0; n < 60; n++) all.task("task_" + n, () => run("bettertest-base", "sleep 1"));`;
    using repo = tempRepo({ [pipedef]: many });
    const running = startCli(["run", "--json", "--slots", "3"], { cwd: repo.folder });
    await running.prints(/"attempt-finished"/);
    running.child.kill("SIGINT");
    const { exitCode, stdout } = await running.ended;
    assert.equal(exitCode, 130);
    assert.deepEqual(leftOver(stdout), []);
  });

  test("a second Ctrl-C ends it at once, and leaves no container for long either", async () => {
    const slow = `import { run, stage } from "bettertest";
const all = stage("Slow");
for (let n = 0; n < 3; n++) all.task("task_" + n, () => run("bettertest-base", "trap '' TERM; sleep 600"));`;
    using repo = tempRepo({ [pipedef]: slow });
    const running = startCli(["run", "--json", "--slots", "2"], { cwd: repo.folder });
    await running.prints(/"call-started"[\s\S]*"call-started"/);
    running.child.kill("SIGINT");
    running.child.kill("SIGTERM");
    const { stdout } = await running.ended;
    await waitFor(() => leftOver(stdout).length === 0);
  });

  test("nor does a worker that is killed", async () => {
    const worker = startCli(["worker", "--port", "0", "--json"]);
    const url = /"url":"([^"]+)"/.exec(await worker.prints(/"url":"[^"]+"/))![1];
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { slow: "sleep 600" } }) });
    const running = startCli(["run", "--json", "--worker", url!, "--worker-lease", "0"], {
      cwd: repo.folder,
    });
    const stdout = await running.prints(/"call-started".*\n/);
    assert.equal(leftOver(stdout).length, 1);
    worker.child.kill("SIGKILL");
    await waitFor(() => leftOver(stdout).length === 0);
    running.child.kill("SIGINT");
    await running.ended;
  });

  test("a reader that goes away ends the run like Ctrl-C, and leaves no container", async () => {
    const some = `import { run, stage } from "bettertest";
stage("Some", {
  slow: () => run("bettertest-base", "sleep 600"),
  talking: () => run("bettertest-base", "sleep 1"),
});`;
    using repo = tempRepo({ [pipedef]: some });
    const running = startCli(["run", "--json", "--slots", "2"], { cwd: repo.folder });
    await running.prints(/"call-started"[\s\S]*"call-started"/);
    running.child.stdout?.destroy();
    const { exitCode, stdout, stderr } = await running.ended;
    assert.equal(exitCode, 130, stderr);
    assert.deepEqual(leftOver(stdout), []);
  });

  test("an image that is not there: errored, the engine's words, a hint, exit 3", async () => {
    const missing = pipedefOf({ A: { a: "true" } }).replace(
      "bettertest-base",
      "no-such-image-here",
    );
    using repo = tempRepo({ [pipedef]: missing });
    const { exitCode, stdout } = await cli(["run", "--pull", "never"], { cwd: repo.folder });
    assert.equal(exitCode, 3, stdout);
    assert.match(stdout, /no-such-image-here/);
    assert.match(stdout, /ERRORED {2}1 errored/);
  });
});
