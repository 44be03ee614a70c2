import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { LoggedEvent } from "../../src/model/events.js";
import { applyEvent, newRun, type Run } from "../../src/model/run.js";
import { cli, jsonLines, pipedefOf, startCli, tempRepo, waitFor } from "./rig.js";

const here = ["run", "--executor", "process"];
const pipedef = ".bettertest/pipedef.ts";

const esc = "\u001b";

const mixed = pipedefOf({
  Build: { compile: "echo compiled" },
  Test: { good: "echo fine", bad: "echo oh no; exit 7" },
  Deploy: { ship: "echo shipped" },
});

suite("exit codes of run", () => {
  test("0: all passed", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { one: "true" } }) });
    const { exitCode, stdout, stderr } = await cli(here, { cwd: repo.folder });
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.match(stdout, /PASSED {2}1 passed/);
  });

  test("3: a data folder that cannot be made, in a sentence", async () => {
    using repo = tempRepo({ [pipedef]: mixed, file: "" });
    // Of /proc, Node's own recursive mkdir never comes back.
    for (const data of [join(repo.folder, "file", "below"), "/proc/foo", "/proc/foo/bar"]) {
      const { exitCode, stderr } = await cli([...here, "--data", data], { cwd: repo.folder });
      assert.equal(exitCode, 3);
      assert.match(stderr, /^bettertest: the folder for runs cannot be made \(.*\)\. Name another/);
      assert.doesNotMatch(stderr, /bug|\n {4}at /);
    }
  });

  test("2: a worker that is no URL", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    const { exitCode, stderr } = await cli(["run", "--worker", "notaurl"], { cwd: repo.folder });
    assert.equal(exitCode, 2);
    assert.match(stderr, /--worker notaurl is no URL/);
  });

  test("1: a test failed", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    assert.equal((await cli(here, { cwd: repo.folder })).exitCode, 1);
  });

  test("2: the pipedef is broken, with file, line, column and source line", async () => {
    using repo = tempRepo({ [pipedef]: "const a = 1;\nconst b = ;\n" });
    const { exitCode, stdout, stderr } = await cli(here, { cwd: repo.folder });
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, /pipedef\.ts:2:11: .*\n {2}2 \| const b = ;\n/);
  });

  test("2: no pipedef anywhere; it says what was looked for and names init", async () => {
    using repo = tempRepo({ "a/b/file": "" });
    const { exitCode, stderr } = await cli(here, { cwd: join(repo.folder, "a/b") });
    assert.equal(exitCode, 2);
    assert.match(
      stderr,
      /looked for \.bettertest\/pipedef\.\{ts,mts,js,mjs,cts,cjs,py\} in .*a\/b and/,
    );
    assert.match(stderr, /bettertest init/);
  });

  test("2: a task that is not there, with those that are", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    const { exitCode, stderr } = await cli([...here, "--only", "Test.task_god"], {
      cwd: repo.folder,
    });
    assert.equal(exitCode, 2);
    assert.match(stderr, /Test\.task_god.*there is: .*Test/);
  });

  test("2: a pipedef that ends its own process", async () => {
    const leaves = `import { stage } from "bettertest";\nstage("A", { leave: () => process.exit(0) });\n`;
    using repo = tempRepo({ [pipedef]: leaves });
    const { exitCode, stdout } = await cli(here, { cwd: repo.folder });
    assert.equal(exitCode, 2, stdout);
    assert.match(stdout, /ERRORED/);
  });

  test("3: no python3 on this machine, also for check; that is not its author's to mend", async () => {
    using repo = tempRepo({ ".bettertest/pipedef.py": "" });
    for (const command of [here, ["check"]]) {
      const env = { PATH: repo.folder };
      const { exitCode, stderr } = await cli(command, { cwd: repo.folder, env });
      assert.equal(exitCode, 3, stderr);
      assert.match(stderr, /no python3 on this machine/);
    }
  });

  test("3: the worker is not there", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { one: "true" } }) });
    const args = ["run", "--worker", "http://127.0.0.1:1"];
    const { exitCode, stdout } = await cli(args, { cwd: repo.folder });
    assert.equal(exitCode, 3);
    assert.match(stdout, /127\.0\.0\.1:1/);
  });

  test("3: no engine; it says the two ways out", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { one: "true" } }) });
    const args = ["run", "--docker", "unix:///nowhere/docker.sock"];
    const { exitCode, stdout, stderr } = await cli(args, { cwd: repo.folder });
    assert.deepEqual([exitCode, stdout], [3, ""]);
    assert.match(stderr, /no Docker engine answers/);
    assert.match(stderr, /Start Docker/);
    assert.match(stderr, /--executor process/);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`130: ${signal} ends the running command, skips the rest and says so`, async () => {
      const slow = pipedefOf({ A: { slow: "sleep 600" }, B: { never: "true" } });
      using repo = tempRepo({ [pipedef]: slow });
      const running = startCli([...here, "--json"], { cwd: repo.folder });
      await running.prints("call-started");
      running.child.kill(signal);
      const { exitCode, stdout } = await running.ended;
      assert.equal(exitCode, 130);
      const result = jsonLines(stdout).at(-1);
      assert.equal(result?.verdict, "cancelled");
      assert.equal(result?.exitCode, 130);
    });
  }
});

suite("Ctrl-C while the pipedef loads, and never ends that", () => {
  const endless: Readonly<Record<string, string>> = {
    "pipedef.ts": `import { writeFileSync } from "node:fs";\nwriteFileSync("FILE", "");\nwhile (true);\n`,
    "pipedef.py": `open("FILE", "w").close()\nwhile True:\n    pass\n`,
  };
  for (const [name, text] of Object.entries(endless)) {
    for (const home of ["thread", "process"]) {
      test(`${name} in a ${home}: 130, soon`, async () => {
        using repo = tempRepo({});
        const loading = join(repo.folder, "loading");
        repo.write(`.bettertest/${name}`, text.replace("FILE", loading));
        const running = startCli([...here, "--pipedef-host", home], { cwd: repo.folder });
        await waitFor(() => existsSync(loading));
        const began = performance.now();
        running.child.kill("SIGINT");
        const { exitCode, stderr } = await running.ended;
        assert.equal(exitCode, 130, stderr);
        // Loading as such would be given up after 30 s.
        assert.ok(performance.now() - began < 20_000);
      });
    }
  }
});

suite("nobody reads on", () => {
  test("run ends its sandbox and itself", async () => {
    const slow = pipedefOf({ A: { slow: "echo $$ > PIDFILE; sleep 600" }, B: { b: "true" } });
    using repo = tempRepo({});
    const pidFile = join(repo.folder, "pid");
    repo.write(pipedef, slow.replace("PIDFILE", pidFile));
    const running = startCli([...here, "--json", "--keep-going"], { cwd: repo.folder });
    await waitFor(() => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "");
    const pid = Number(readFileSync(pidFile, "utf8"));
    running.child.stdout?.destroy();
    running.child.kill("SIGTERM");
    assert.equal((await running.ended).exitCode, 130);
    assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
  });
});

suite("plain lines", () => {
  test("one for each thing that happened, and the output of what failed", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    const { stdout } = await cli([...here, "--slots", "1"], { cwd: repo.folder });
    const timeless = stdout.replace(/( ·)? +\d+\.\d s$/gm, "");
    assert.equal(
      timeless,
      [
        ".bettertest/pipedef.ts  3 stages, 4 tasks",
        "on process (not isolated: right on this machine), 1 slot",
        "",
        "Build",
        "  passed    task_compile",
        "  1 passed",
        "",
        "Test",
        "  passed    task_good",
        "  FAILED    task_bad      exit code 7: echo oh no; exit 7",
        "    │ oh no",
        "  1 failed · 1 passed",
        "",
        "Deploy",
        "  skipped   1 task: stage Test did not pass",
        "",
        "FAILED  1 failed · 2 passed · 1 skipped",
        "",
        "  ✗ Test.task_bad  exit code 7: echo oh no; exit 7",
        "    npx bettertest run --only Test.task_bad --executor process",
        "",
      ].join("\n"),
    );
  });

  test("--keep-going runs later stages, --output all shows everything, none nothing", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    const all = await cli([...here, "--keep-going", "--output", "all"], { cwd: repo.folder });
    for (const line of ["compiled", "fine", "oh no", "shipped"]) {
      assert.ok(all.stdout.includes(`    │ ${line}\n`), line);
    }
    const none = await cli([...here, "--output", "none"], { cwd: repo.folder });
    assert.doesNotMatch(none.stdout, /│/);
  });

  test("a long output keeps its end and says how much was left out", async () => {
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { long: "seq 1 5000; exit 1" } }) });
    const { stdout } = await cli(here, { cwd: repo.folder });
    assert.match(stdout, /│ … 4,000 lines left out, --output all shows them\n {4}│ 4001\n/);
    assert.match(stdout, /│ 5000\n/);
  });

  test("what a task prints cannot drive the terminal", async () => {
    const nasty =
      "printf '\\033[31mred\\033[0m \\033]0;title\\007\\033[2Jcleared \\033[5Aup\\n10%%\\r20%%\\n'; exit 1";
    using repo = tempRepo({ [pipedef]: pipedefOf({ A: { nasty } }) });
    const plain = await cli(here, { cwd: repo.folder });
    assert.match(plain.stdout, /│ 20%\n/);
    assert.ok(!plain.stdout.includes(esc));
    const coloured = await cli(here, { cwd: repo.folder, env: { FORCE_COLOR: "1" } });
    const [, ...afterEscapes] = coloured.stdout.split(esc);
    assert.ok(afterEscapes.length > 0);
    for (const text of afterEscapes) assert.match(text, /^\[[0-9;]*m/);
    assert.ok(coloured.stdout.includes(`${esc}[31mred`));
  });

  test("the suggested command, as printed, runs just that task", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    const { stdout } = await cli(here, { cwd: repo.folder });
    const suggested = /npx bettertest (run .*)/.exec(stdout)?.[1]?.split(" ") ?? [];
    const again = await cli(suggested, { cwd: repo.folder });
    assert.equal(again.exitCode, 1);
    assert.match(again.stdout, /1 stage, 1 task/);
  });
});

suite("run", () => {
  test("finds the pipedef from a folder below, and takes one by path", async () => {
    using repo = tempRepo({
      [pipedef]: mixed,
      "deep/down/x": "",
      "other.js": pipedefOf({ O: { o: "true" } }),
    });
    const below = await cli([...here, "--only", "Build"], { cwd: join(repo.folder, "deep/down") });
    assert.equal(below.exitCode, 0, below.stderr);
    const named = await cli([...here, "other.js"], { cwd: repo.folder });
    assert.equal(named.exitCode, 0, named.stderr);
    assert.match(named.stdout, /^other\.js {2}1 stage, 1 task/);
  });

  test("runs pipedef.py", async () => {
    using repo = tempRepo({
      ".bettertest/pipedef.py": [
        "from bettertest import Stage, run",
        "class TestUnit(Stage):",
        "    def task_ok():",
        '        run("http://localhost:9009", "img", "echo from python")',
        "    @staticmethod",
        "    def task_red():",
        '        run("http://localhost:9009", "img", "exit 3")',
        "",
      ].join("\n"),
    });
    const { exitCode, stdout } = await cli([...here, "--output", "all"], { cwd: repo.folder });
    assert.equal(exitCode, 1, stdout);
    assert.match(stdout, /│ from python/);
    assert.match(stdout, /FAILED {4}task_red {2}.*exit code 3/);
  });

  test("a pipedef sees a variable only when it is allowed", async () => {
    using repo = tempRepo({
      [pipedef]: `import { stage } from "bettertest";
stage("A", { env: () => console.log(JSON.stringify(process.env)) });`,
    });
    const env = { SECRET_OF_TEST: "hush", ALLOWED_OF_TEST: "yes" };
    const shown = [...here, "--output", "all"];
    const closed = await cli(shown, { cwd: repo.folder, env });
    assert.match(closed.stdout, /│ \{\}\n/);
    const open = await cli([...shown, "--allow-env", "ALLOWED_OF_TEST"], { cwd: repo.folder, env });
    assert.match(open.stdout, /│ \{"ALLOWED_OF_TEST":"yes"\}\n/);
  });

  test("--json: a header, events that fold to the run, output lines, a result", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    const { exitCode, stdout } = await cli([...here, "--json", "--output", "failed"], {
      cwd: repo.folder,
    });
    const lines = jsonLines(stdout);
    assert.equal(lines[0]?.schema, 1);
    assert.equal(lines[0]?.type, "start");
    let run: Run | null = null;
    for (const line of lines.filter(({ type }) => type === "event")) {
      const { event, run: id } = line as unknown as LoggedEvent;
      run =
        run === null && event.type === "run-created" ? newRun(id, event) : applyEvent(run!, event);
    }
    assert.equal(run?.status, "failed");
    const output = lines.filter(({ type }) => type === "output");
    assert.deepEqual(
      output.map(({ stage, task, line }) => [stage, task, line]),
      [["Test", "task_bad", "oh no"]],
    );
    const result = lines.at(-1);
    assert.deepEqual(
      [result?.type, result?.verdict, result?.exitCode, exitCode],
      ["result", "failed", 1, 1],
    );
  });

  test("--json: a broken pipedef is a result too", async () => {
    using repo = tempRepo({ [pipedef]: "const" });
    const { exitCode, stdout, stderr } = await cli([...here, "--json"], { cwd: repo.folder });
    assert.deepEqual([exitCode, stderr], [2, ""]);
    const [start, result] = jsonLines(stdout);
    assert.deepEqual(Object.keys(start ?? {}), ["schema", "type", "version", "pipedef", "where"]);
    assert.deepEqual([result?.type, result?.exitCode], ["result", 2]);
    for (const field of ["durationMs", "counts", "notPassed", "fault"]) {
      assert.ok(field in (result ?? {}), field);
    }
  });

  test("--json --output failed: also of red attempts that were tried again, and long lines whole", async () => {
    const flaky = `import { run, stage } from "bettertest";
stage("S").task("t", () => run("none", "head -c 10000 /dev/zero | tr '\\\\000' x; test -e again || { touch again; exit 1; }"), { retries: 1 });`;
    using repo = tempRepo({ [pipedef]: flaky });
    const { stdout } = await cli([...here, "--json", "--output", "failed"], { cwd: repo.folder });
    assert.deepEqual(
      jsonLines(stdout)
        .filter(({ type }) => type === "output")
        .map(({ attempt, line }) => [attempt, line]),
      [[1, "x".repeat(10_000)]],
    );
  });

  test("leaves nothing in the repo", async () => {
    using repo = tempRepo({ [pipedef]: mixed });
    await cli(here, { cwd: repo.folder });
    assert.equal(existsSync(join(repo.folder, ".bettertest/data")), false);
  });
});

suite("run on the working tree", () => {
  test("each run sees what is there when it starts, also where it was looked at before", async () => {
    const text = `import { run, stage, workspace } from "bettertest";
stage("unit").task("one", () => run("none", "cat file", { source: workspace() }));`;
    using repo = tempRepo({ [pipedef]: text });
    for (const line of ["first", "second", "third"]) {
      repo.write("file", line);
      const { stdout } = await cli([...here, "--output", "all"], { cwd: repo.folder });
      assert.match(stdout, new RegExp(`│ ${line}\n`));
    }
  });
});
