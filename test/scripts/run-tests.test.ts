// The runner judges everything else, so it is judged here: a lie in it would make every red green.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const fixtures = "test/scripts/fixtures";

function runSamples(names: string[], env: Record<string, string> = {}) {
  const files = names.map((name) => `${fixtures}/${name}.mjs`);
  const { CI: _, NODE_TEST_CONTEXT: __, ...inherited } = process.env;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ["scripts/run-tests.mjs", ...files],
    { encoding: "utf8", env: { ...inherited, ...env } },
  );
  assert.equal(stderr, "");
  return { stdout, status, lastLine: stdout.trimEnd().split("\n").at(-1) };
}

test("green files: counts every test, exit code 0", () => {
  const { lastLine, status } = runSamples(["green"]);
  assert.equal(lastLine, "3 passed, 0 failed");
  assert.equal(status, 0);
});

test("a red test: named with its parents, its error, what its file printed, exit code 1", () => {
  const { stdout, lastLine, status } = runSamples(["green", "red"]);
  assert.equal(lastLine, "4 passed, 1 failed");
  assert.equal(status, 1);
  assert.match(stdout, /✗ .*red\.mjs > outer > inner\n\s+AssertionError/);
  assert.match(stdout, /printed by red\.mjs/);
});

test("a skipped test is said aloud with its reason, and is a failure in CI", () => {
  const relaxed = runSamples(["skipping"]);
  assert.equal(relaxed.lastLine, "1 passed, 0 failed, 1 skipped");
  assert.equal(relaxed.status, 0);
  assert.match(relaxed.stdout, /SKIPPED: .* > needs what is not here \(no engine\)/);

  const strict = runSamples(["skipping"], { CI: "true" });
  assert.equal(strict.lastLine, "1 passed, 1 failed");
  assert.equal(strict.status, 1);
});

test("what fails beside others and passes alone is said to be flaky; a random case is not tried again", () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-crowded-"));
  try {
    const CROWDED_MARK = join(folder, "mark");
    const words = { CROWDED_WORDS: "too late" };
    const again = runSamples(["crowded", "green"], { CROWDED_MARK, ...words });
    assert.match(again.stdout, /FLAKY, passed alone: .*crowded\.mjs > was here before\n.*too late/);
    assert.equal(again.lastLine, "4 passed, 0 failed");
    assert.equal(again.status, 0);

    rmSync(CROWDED_MARK);
    const single = runSamples(["crowded"], { CROWDED_MARK, ...words });
    assert.equal(single.lastLine, "0 passed, 1 failed");

    rmSync(CROWDED_MARK);
    const random = { CROWDED_WORDS: "Property failed after 3 tests" };
    const found = runSamples(["crowded", "green"], { CROWDED_MARK, ...random });
    assert.equal(found.lastLine, "3 passed, 1 failed");
    assert.equal(found.status, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a file that throws at load is a failure, with its error", () => {
  const { stdout, lastLine, status } = runSamples(["broken"]);
  assert.equal(lastLine, "0 passed, 1 failed");
  assert.equal(status, 1);
  assert.match(stdout, /thrown at load/);
});

test("a file without a test is a failure", () => {
  const { lastLine, status } = runSamples(["green", "empty"]);
  assert.equal(lastLine, "3 passed, 1 failed");
  assert.equal(status, 1);
});

test("no file at all is a failure", () => {
  const { stdout, lastLine, status } = runSamples([]);
  assert.match(stdout, /No test was run/);
  assert.equal(lastLine, "0 passed, 0 failed");
  assert.equal(status, 1);
});

test("a test that never ends is named and ended, and the rest goes on", () => {
  const { stdout, lastLine, status } = runSamples(["hanging", "green"], {
    STALL_TIMEOUT_MS: "3000",
  });
  assert.match(stdout, /never ends hangs/);
  assert.equal(lastLine, "4 passed, 1 failed");
  assert.equal(status, 1);
});

test("a process left behind is a failure, and is ended", () => {
  const { stdout, lastLine } = runSamples(["leaving"]);
  assert.match(stdout, /left processes running:\n *\d+ \(S\): /);
  assert.equal(lastLine, "1 passed, 1 failed");
});

test("a file that ends red after green tests is a failure", () => {
  const { stdout, lastLine, status } = runSamples(["late"]);
  assert.match(stdout, /ended with exit code 9/);
  assert.equal(lastLine, "1 passed, 1 failed");
  assert.equal(status, 1);
});

test("a runner that is told to end takes its test files along", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-runner-"));
  try {
    const fifo = join(folder, "alive");
    assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
    // The fixture holds the other end open as long as it lives.
    const runner = spawn(
      process.execPath,
      ["scripts/run-tests.mjs", `${fixtures}/holding-a-fifo.mjs`],
      { stdio: "ignore", env: { ...process.env, FIFO: fifo } },
    );
    const reader = createReadStream(fifo);
    await once(reader, "data");
    const fixtureEnded = once(reader, "end");
    const runnerEnded = once(runner, "exit");
    runner.kill("SIGTERM");
    await fixtureEnded;
    assert.deepEqual(await runnerEnded, [130, null]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
