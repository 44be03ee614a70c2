// What a run's commands have left, as it is met in the terminal.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { startRig } from "../rig/rig.js";
import { cli, jsonLines, tempRepo } from "./rig.js";

const failing =
  '<testsuites><testsuite name="pytest"><testcase classname="test.test_a" name="test_green"/><testcase classname="test.test_a" name="test_red"><failure message="assert 1 == 2">test/test_a.py:7: AssertionError</failure></testcase></testsuite></testsuites>';
const pipedefWith = (xml: string) => ({
  ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    const write = ${JSON.stringify(`printf '%s' '${xml}' > junit.xml`)};
    stage("Unit", { "all of it": () => run("any", write, { results: "*.xml" }), other: () => run("any", "true") });`,
});

const here = ["run", "--executor", "process"];

test("run prints failing tests last, each with place, message and the commands that run just it", async () => {
  using repo = tempRepo(pipedefWith(failing));
  const { exitCode, stdout } = await cli(here, { cwd: repo.folder });
  assert.equal(exitCode, 1);
  assert.equal(
    stdout.slice(stdout.indexOf("1 failing test:")).trimEnd(),
    [
      "1 failing test:",
      "",
      "  ✗ test.test_a › test_red",
      "    test/test_a.py:7  in Unit.all of it",
      "    assert 1 == 2",
      "    pytest test/test_a.py::test_red",
      "    npx bettertest run --only 'Unit.all of it' --executor process",
    ].join("\n"),
  );
  assert.match(stdout, /FAILED .*1 test failed, but the command exited with 0/);
  const json = await cli([...here, "--json"], { cwd: repo.folder });
  const result = jsonLines(json.stdout).find(({ type }) => type === "result");
  assert.match(JSON.stringify(result), /"failedTests":\[\{"suite":"test.test_a","name":"test_red"/);
});

test("the same with the test mended: nothing is red, and nothing speaks of failing tests", async () => {
  using repo = tempRepo(pipedefWith(failing.replace(/<failure.*<\/failure>/, "")));
  const { exitCode, stdout } = await cli(here, { cwd: repo.folder });
  assert.equal(exitCode, 0);
  assert.doesNotMatch(stdout, /fail/i);
});

test("artifacts are listed, and downloaded by task; what is there already is not touched", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        const make = "mkdir -p dist; echo a > dist/a.txt; echo b > b.txt";
        stage("s", { "../t": () => run("any", make, { artifacts: ["dist/**", "*.txt"] }) });`,
    },
  });
  await rig.run();
  using out = tempRepo({});
  const listed = await cli(["artifacts", "1", "--boss", rig.url]);
  assert.match(listed.stdout, /2 B\s+s\.\.\.\/t {2}b\.txt\n.*dist\/a\.txt/);
  const folder = join(out.folder, "o");
  const first = await cli(["artifacts", "1", "-o", folder, "--boss", rig.url]);
  assert.deepEqual([first.exitCode, first.stderr], [0, ""]);
  const [task] = readdirSync(folder);
  assert.equal(task, "s..._t");
  assert.equal(readFileSync(join(folder, task, "dist/a.txt"), "utf8"), "a\n");

  writeFileSync(join(folder, task, "dist/a.txt"), "mine");
  const again = await cli(["artifacts", "1", "-o", folder, "--boss", rig.url]);
  assert.equal(again.exitCode, 3);
  assert.match(again.stderr, /a\.txt was not saved: .* is there already/);
  assert.equal(readFileSync(join(folder, task, "dist/a.txt"), "utf8"), "mine");
});

test("files of one name that two commands of a task have left are both downloaded", async () => {
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        const make = (text) => run("any", "echo " + text + " > report.xml", { artifacts: ["*.xml"] });
        stage("s", { t: async () => { await make("one"); await make("two"); } });`,
    },
  });
  await rig.run();
  using out = tempRepo({});
  const folder = join(out.folder, "o");
  const { exitCode, stdout, stderr } = await cli([
    "artifacts",
    "1",
    "-o",
    folder,
    "--boss",
    rig.url,
  ]);
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(stdout, /^2 files of run 1/);
  assert.equal(readFileSync(join(folder, "s.t/report.xml"), "utf8"), "one\n");
  assert.equal(readFileSync(join(folder, "s.t,call-2/report.xml"), "utf8"), "two\n");
  const listed = await cli(["artifacts", "1", "--boss", rig.url]);
  assert.match(listed.stdout, /s\.t {2}report\.xml\n.*s\.t \(call 2\) {2}report\.xml\n$/);
  const path = `${rig.url}/api/runs/1/artifacts/report.xml`;
  const bytesOf = async (query: string) => (await fetch(`${path}${query}`)).text();
  assert.deepEqual(await Promise.all(["?call=1", "?call=2", ""].map(bytesOf)), [
    "one\n",
    "two\n",
    "two\n",
  ]);
  assert.equal((await fetch(`${path}?call=3`)).status, 404);
});

test("a boss that lies cannot write outside of the folder, by a path or by a link", async () => {
  const artifact = { stage: "s", task: "t", attempt: 1, call: 1, bytes: 4, sha256: "0".repeat(64) };
  const paths = ["../evil", "/evil", "a/../../evil", "link/evil", "a\\..\\evil", "", "ok"];
  const server = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/api/runs/1/artifacts") {
      const artifacts: unknown[] = paths.map((path) => ({ ...artifact, path }));
      artifacts.push({ ...artifact, path: "ok", call: "/../../evil" });
      response.end(JSON.stringify({ artifacts }));
    } else response.end("evil");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  try {
    using out = tempRepo({});
    const folder = join(out.folder, "o");
    mkdirSync(join(folder, "s.t"), { recursive: true });
    symlinkSync(out.folder, join(folder, "s.t", "link"));
    const before = readdirSync(out.folder).sort();
    const url = `http://127.0.0.1:${address.port}`;
    const { exitCode, stderr } = await cli(["artifacts", "1", "-o", folder, "--boss", url]);
    assert.equal(exitCode, 3);
    assert.match(stderr, /link\/evil was not saved: .* is no folder/);
    assert.match(stderr, /ok was not saved: its name leads elsewhere/);
    assert.match(stderr, /ok was not saved: what came is not what was kept/);
    assert.deepEqual(readdirSync(out.folder).sort(), before);
    assert.deepEqual(readdirSync(join(folder, "s.t")), ["link"]);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
