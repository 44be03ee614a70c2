// That the benchmarks run, not how fast anything is: no machine of tests could tell.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isMet, type Row, spread } from "../../bench/measure.js";
import { terminalTable } from "../../bench/table.js";

const main = fileURLToPath(new URL("../../bench/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "bettertest-test-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function bench(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 180_000 });
}

const row: Row = {
  what: "a thing",
  against: "another",
  unit: "ms",
  rounds: [
    { measured: 10, baseline: 100 },
    { measured: 30, baseline: 100 },
    { measured: 12, baseline: 100 },
  ],
};

describe("npm run bench", () => {
  test("measures what is named, and writes it down with its rounds' spread", () => {
    const out = join(folder, "results.md");
    const { status, stdout, stderr } = bench("--quick", "--rounds", "1", "--out", out, "pipedef");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /pipedef\.ts to its first task, cold.* [\d.]+ ms .*<= 150 ms +(yes|no)/);
    assert.match(stdout, /Targets met: \d of 2/);
    const text = readFileSync(out, "utf8");
    assert.match(text, /^\| pipedef\.ts to its first task, after a save.*\| (yes|no) \|$/m);
    assert.match(text, /^- Machine: \d+ x .* GiB/m);
    assert.match(text, /^\| pipedef \| [\d.]+ \| \d+ % \|$/m);
  });

  test("names what there is", () => {
    const help = bench("--help");
    assert.equal(help.status, 0);
    assert.match(help.stdout, /^ {2}scheduler +dispatches/m);
    const unknown = bench("nothing");
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /no benchmark "nothing"/);
  });
});

describe("a row", () => {
  test("meets its target by its medians", () => {
    assert.equal(isMet(row), null);
    assert.equal(isMet({ ...row, target: { of: "ratio", atMost: 0.12 } }), true);
    assert.equal(isMet({ ...row, target: { of: "ratio", atMost: 0.11 } }), false);
    assert.equal(isMet({ ...row, target: { of: "measured", atLeast: 12 } }), true);
    assert.equal(isMet({ ...row, target: { of: "measured", atLeast: 13 } }), false);
  });

  test("has the mean of the two in the middle as median, where there are two", () => {
    assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
    assert.deepEqual(spread([9]), { median: 9, min: 9, max: 9 });
  });

  test("is marked where the machine was busy with other work", () => {
    const section = { name: "x", rows: [row], tookMs: 1 };
    const quiet = { ...section, before: { load: 9, othersShare: 0.02 } };
    const busy = { ...section, before: { load: 0, othersShare: 0.5 } };
    assert.match(terminalTable([quiet]), /^a thing {2}/m);
    assert.doesNotMatch(terminalTable([quiet]), /busy/);
    assert.match(terminalTable([busy]), /^a thing \* /m);
    assert.match(terminalTable([busy]), /the machine was busy/);
  });
});
