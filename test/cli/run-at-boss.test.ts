import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { cli, jsonLines, pipedefOf, startCli, tempRepo, urlOf } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";
const stages = pipedefOf({
  Test: { good: "echo fine", bad: "echo oh no; exit 7" },
});
const up = (...args: string[]) => [
  "up",
  "--json",
  ...["--executor", "process", "--port", "0", "--worker-port", "0"],
  ...args,
];

suite("run --boss", () => {
  test("runs what the repo's boss has, as it is now, shows it, and ends with its verdict", async () => {
    using repo = tempRepo({ [pipedef]: stages });
    const server = startCli(up(), { cwd: repo.folder });
    const url = await urlOf(server, "boss");
    const run = (...args: string[]) => cli(["run", "--boss", url, ...args], { cwd: repo.folder });

    const first = await run();
    assert.equal(first.exitCode, 1);
    assert.match(first.stdout, new RegExp(`the boss at ${url}, run 1`));
    assert.match(first.stdout, /│ oh no\n/);
    assert.doesNotMatch(first.stdout, /fine/);
    assert.match(first.stdout, new RegExp(`bettertest run --only Test\\.task_bad --boss ${url}`));

    const one = await run("--only", "Test.task_good", "--json", "--output", "all");
    assert.equal(one.exitCode, 0);
    assert.deepEqual(
      [jsonLines(one.stdout).at(-1)?.run, jsonLines(one.stdout).at(-1)?.verdict],
      [2, "passed"],
    );

    // Saved right before: what counts is what the file holds when the run is asked for.
    repo.write(pipedef, pipedefOf({ Test: { good: "echo saved" } }));
    const saved = await run("--output", "all");
    assert.equal(saved.exitCode, 0, saved.stdout + saved.stderr);
    assert.match(saved.stdout, /│ saved\n/);

    repo.write(pipedef, "this is no TypeScript");
    const broken = await run();
    assert.equal(broken.exitCode, 2, broken.stdout + broken.stderr);
    assert.match(broken.stdout + broken.stderr, /pipedef\.ts/);

    const nothing = await run("--only", "Nope");
    assert.equal(nothing.exitCode, 2);
    assert.match(nothing.stderr, /Nope/);

    server.child.kill("SIGTERM");
    await server.ended;
    const late = await run();
    assert.equal(late.exitCode, 3);
    assert.match(late.stderr, /no boss answers at .*Is it running/);
  });

  test("Ctrl-C cancels the run", async () => {
    using repo = tempRepo({
      [pipedef]: pipedefOf({ Slow: { sleeper: "sleep 3600" } }),
    });
    const server = startCli(up(), { cwd: repo.folder });
    const url = await urlOf(server, "boss");
    const run = startCli(["run", "--boss", url, "--json"], { cwd: repo.folder });
    await run.prints("call-started");
    run.child.kill("SIGINT");
    const { exitCode, stdout } = await run.ended;
    assert.equal(exitCode, 130, stdout);
    assert.equal(jsonLines(stdout).at(-1)?.verdict, "cancelled");
    assert.match((await cli(["runs", "--boss", url])).stdout, /1 {2}. cancelled/);
    server.child.kill("SIGTERM");
    await server.ended;
  });

  test("the pipeline is that of the repo, or the one named; flags of an own worker are refused", async () => {
    using repo = tempRepo({
      "one/.bettertest/pipedef.ts": pipedefOf({ Test: { one: "echo this is one" } }),
      "two/.bettertest/pipedef.ts": pipedefOf({ Test: { two: "echo this is two" } }),
      "other/.bettertest/pipedef.ts": stages,
      "none/file": "",
    });
    const server = startCli(up("--pipedef", "one", "--pipedef", "two"), { cwd: repo.folder });
    const url = await urlOf(server, "boss");
    const run = (folder: string, ...args: string[]) =>
      cli(["run", "--boss", url, "--output", "all", ...args], {
        cwd: `${repo.folder}/${folder}`,
      });
    assert.match((await run("two")).stdout, /this is two/);
    assert.match((await run("none", "one")).stdout, /this is one/);
    assert.match((await run("none", "../two")).stdout, /this is two/);

    const refused = async (wanted: RegExp, folder: string, ...args: string[]) => {
      const { exitCode, stderr } = await run(folder, ...args);
      assert.equal(exitCode, 2);
      assert.match(stderr, wanted);
    };
    await refused(/has several pipelines: one, two\n.*run NAME/, "none");
    await refused(/does not have .*other\/\.bettertest\/pipedef\.ts; it has: one, two/, "other");
    await refused(/does not have three; it has: one, two/, "none", "three");
    await refused(
      /with --boss, --executor process --slots 3 has no effect/,
      "one",
      "--slots",
      "3",
      "--executor",
      "process",
    );

    const { exitCode, stderr } = await cli(["run", "--token-file", "t"], { cwd: repo.folder });
    assert.equal(exitCode, 2);
    assert.match(stderr, /--token-file is for a boss, which --boss names/);
    server.child.kill("SIGTERM");
    await server.ended;
  });
});
