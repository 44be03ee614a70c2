// Tests named one by one: from what a command has left in its sandbox to what a reader of the run sees.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { describeFailure } from "../../src/model/failure.js";
import { findTask, type Run } from "../../src/model/run.js";
import type { ArtifactsView, TestsView } from "../../src/wire/boss.js";
import { image, noDocker } from "../rig/docker.js";
import { glance, type Rig, startRig } from "../rig/rig.js";

const nodeTests = `import assert from "node:assert/strict";
import { describe, test } from "node:test";
describe("sums", () => {
  test("adds", () => assert.equal(1 + 1, 2));
  test("carries <&>", () => assert.equal(1 + 1, 3, "two is not ]]> three"));
  test("later", { skip: "not today" }, () => {});
});
`;

for (const reporter of ["junit", "tap"]) {
  test(`the tests of a real node --test-reporter=${reporter} are named, and the red one too`, async () => {
    await using rig = await startRig({
      files: {
        ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
          stage("s", { t: () => run("any", ${JSON.stringify(
            `cat > sums.test.mjs <<'END'\n${nodeTests}END\nenv -u NODE_TEST_CONTEXT node --test --test-reporter=${reporter} --test-reporter-destination=report.out sums.test.mjs`,
          )}, { results: "report.out" }) });`,
      },
    });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.t failed"]);
    const attempt = findTask(run, { stage: "s", task: "t" })?.attempts[0];
    const tests = attempt?.files?.[1]?.tests;
    assert.deepEqual(attempt?.files?.[1]?.notes, []);
    assert.equal(tests?.framework, "node");
    assert.deepEqual([tests?.passed, tests?.failed, tests?.skipped], [1, 1, 1]);
    const [failure] = tests!.failures;
    assert.equal(failure?.name, "carries <&>");
    assert.equal(failure?.suite, "sums");
    assert.match(failure?.file ?? "", /sums\.test\.mjs$/);
    assert.equal(failure?.line, 5);
    assert.match(failure?.message ?? "", /two is not \]\]> three/);
    const end = attempt?.end;
    assert.ok(end?.status === "failed" && end.failure.kind === "exit");
    assert.equal(end.failure.failedTests, 1);
  });
}

/** A pipedef with one task, which runs one command. */
function oneTask(command: string, options: object, name = "any") {
  const call = `run(${JSON.stringify(name)}, ${JSON.stringify(command)}, ${JSON.stringify(options)})`;
  return {
    ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
      stage("s", { t: () => ${call} });`,
  };
}

function leftBy(run: Run) {
  return findTask(run, { stage: "s", task: "t" })?.attempts.at(-1)?.files?.[1];
}

function junit(...tests: readonly string[]): string {
  const failures = tests.filter((one) => one.includes("<failure")).length;
  return `<testsuites><testsuite name="pytest" failures="${failures}">${tests.join("")}</testsuite></testsuites>`;
}

const green = '<testcase classname="test.test_a.TestA" name="test_green" time="0.5"/>';
const red =
  '<testcase classname="test.test_a.TestA" name="test_red"><failure message="assert 1 == 2">test/test_a.py:7: AssertionError</failure></testcase>';

const reportOf = (...tests: readonly string[]) => `printf '%s' '${junit(...tests)}' > junit.xml`;

for (const executor of ["process", "docker"] as const) {
  const skip = executor === "docker" && noDocker();
  const start = (command: string, options: object) =>
    startRig({ files: oneTask(command, options, image), executor });

  test(`${executor}: a red test makes a command red that exits with 0`, { skip }, async () => {
    await using rig = await start(reportOf(green, red), { results: "junit.xml" });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.t failed"]);
    assert.match(await reasonIn(rig), /1 test failed, but the command exited with 0/);
    const { tests } = await rig.get<TestsView>("/api/runs/1/tests?verdict=failed");
    assert.deepEqual(tests, [
      {
        ...{ stage: "s", task: "t", attempt: 1, call: 1 },
        ...{ suite: "test.test_a.TestA", name: "test_red", verdict: "failed" },
        ...{ file: "test/test_a.py", line: 7, message: "assert 1 == 2" },
        details: "test/test_a.py:7: AssertionError",
      },
    ]);
    const all = await rig.get<TestsView>("/api/runs/1/tests");
    assert.deepEqual(
      all.tests.map(({ name }) => name),
      ["test_green", "test_red"],
    );
  });

  test(`${executor}: results that are more than is read are no green run`, { skip }, async () => {
    const command = `for n in $(seq 1001); do printf '%s' '${junit(green)}' > junit-$n.xml; done`;
    await using rig = await start(command, { results: "junit-*.xml" });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.t errored"]);
    assert.match(JSON.stringify(run), /not all of its results could be read: .*more than 1000/);
  });

  test(`${executor}: tests are read of a command that failed, and of one whose time was up`, {
    skip,
  }, async () => {
    await using rig = await start(`${reportOf(green, red)}; sleep 600`, {
      results: "junit.xml",
      timeout: "2s",
    });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.t failed"]);
    assert.match(await reasonIn(rig), /timed out/);
    assert.equal(leftBy(run)?.tests?.failed, 1);
  });

  test(`${executor}: a results file that is missing is said, and makes nothing red`, {
    skip,
  }, async () => {
    await using rig = await start("true", { results: ["junit.xml", "out/*.xml"] });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.t passed"]);
    assert.deepEqual(leftBy(run), {
      notes: ["results: there is no file junit.xml", "results: there is no file out/*.xml"],
    });
  });

  test(`${executor}: artifacts are kept, byte for byte, and links lead nowhere`, {
    skip,
  }, async () => {
    const command = [
      "mkdir -p dist/deep/er out",
      "printf 'a\\0b' > dist/bytes.bin",
      "echo '<script>alert(1)</script>' > 'dist/deep/er/ä b.html'",
      "cp -s /etc/passwd dist/passwd",
      "[ ! -x /usr/bin/ln ] || ln -s /etc out/etc",
      "[ ! -x /usr/bin/mkfifo ] || mkfifo dist/pipe",
      "echo top > top.txt",
    ].join("; ");
    await using rig = await start(command, {
      artifacts: ["dist/**", "out/etc/passwd", "./top.txt"],
    });
    const run = await rig.run();
    assert.deepEqual(glance(run), ["s.t passed"]);
    const { artifacts } = await rig.get<ArtifactsView>("/api/runs/1/artifacts");
    assert.deepEqual(artifacts.map(({ path }) => path).sort(), [
      "dist/bytes.bin",
      "dist/deep/er/ä b.html",
      "top.txt",
    ]);
    const notes = leftBy(run)?.notes.join("\n") ?? "";
    assert.match(notes, /dist\/passwd is a link/s);
    if (executor === "process")
      assert.match(notes, /dist\/pipe is no file.*out\/etc\/passwd is a link/s);
    const bytes = await fetch(`${rig.url}/api/runs/1/artifacts/dist/bytes.bin`);
    assert.deepEqual(Buffer.from(await bytes.arrayBuffer()), Buffer.from("a\0b"));
    const page = await fetch(
      `${rig.url}/api/runs/1/artifacts/dist/deep/er/${encodeURIComponent("ä b.html")}`,
    );
    assert.match(page.headers.get("content-disposition") ?? "", /^attachment; /);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    assert.match(page.headers.get("content-security-policy") ?? "", /^sandbox/);
    assert.match(await page.text(), /alert/);
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    for (let index = 0; index < 20; index++) {
      const head = await fetch(`${rig.url}/api/runs/1/artifacts/dist/bytes.bin`, {
        method: "HEAD",
      });
      assert.equal(head.status, 200);
    }
    // Connections and logs come and go; twenty files would stay.
    assert.ok(open() < before + 15, "a HEAD opens nothing");
    for (const path of ["dist/passwd", "dist/../../../../etc/passwd", "%2e%2e/%2e%2e/history.db"]) {
      const answer = await fetch(`${rig.url}/api/runs/1/artifacts/${path}`);
      assert.equal(answer.status, 404, path);
    }
  });
}

async function reasonIn(rig: Rig): Promise<string> {
  const { run } = await rig.get<{ run: Run }>("/api/runs/1");
  const end = findTask(run, { stage: "s", task: "t" })?.attempts.at(-1)?.end;
  return end?.status === "failed" ? describeFailure(end.failure) : "";
}

test("a file with two names is kept by both, and links are not followed", {
  skip: noDocker(),
}, async () => {
  const command =
    "mkdir -p out/a out/b; echo text > out/a/first; cp -l out/a/first out/b/second; cp -l out/a/first out/b/third; cp -s /bin/sh out/b/link";
  await using rig = await startRig({
    files: oneTask(command, { artifacts: ["out/**/f*", "out/b/**"] }, image),
    executor: "docker",
  });
  const run = await rig.run();
  const { artifacts } = await rig.get<ArtifactsView>("/api/runs/1/artifacts");
  assert.deepEqual(artifacts.map(({ path, bytes }) => `${path} ${bytes}`).sort(), [
    "out/a/first 5",
    "out/b/second 5",
    "out/b/third 5",
  ]);
  assert.deepEqual(leftBy(run)?.notes, ["artifacts: out/b/link is a link, and was left out"]);
  for (const name of ["a/first", "b/second", "b/third"]) {
    const file = await fetch(`${rig.url}/api/runs/1/artifacts/out/${name}`);
    assert.equal(await file.text(), "text\n");
  }
});

test("a file that came with the image is none of the command's results", {
  skip: noDocker(),
}, async () => {
  const options = { results: ["bin/bash", "junit.xml"] };
  await using rig = await startRig({
    files: oneTask(reportOf(green), options, image),
    executor: "docker",
  });
  const run = await rig.run();
  assert.deepEqual(leftBy(run)?.notes, [
    "results: bin/bash is older than the command, and was not read",
  ]);
  assert.equal(leftBy(run)?.tests?.passed, 1);
});

test("artifacts beyond the limit are left out whole, and said; nothing turns red", async () => {
  const command = "echo small > a; head -c 2000 /dev/zero > b; echo tiny > c";
  await using rig = await startRig({
    files: oneTask(command, { artifacts: ["a", "b", "c"] }),
    maxArtifactBytes: 1000,
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["s.t passed"]);
  assert.deepEqual(leftBy(run)?.artifacts, { files: 2, bytes: 11 });
  assert.match(leftBy(run)?.notes.join() ?? "", /b \(.*\) was left out: .*--max-artifacts/);
});
