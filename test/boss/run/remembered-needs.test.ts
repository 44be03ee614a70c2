import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { Expectations } from "../../../src/boss/run/expectations.js";
import { createNeedsMemory } from "../../../src/boss/run/remembered-needs.js";

suite("what a run needs, told to the next process", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "bettertest-needs-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** As a boss that has just been started; `told` are image and count, by worker. */
  const boss = (pipedef = "/repo/pipedef.ts") => {
    const told: string[] = [];
    const expectations = new Expectations({
      workers: {
        expect: (worker, expected) => {
          for (const { image, count } of expected) told.push(`${worker} ${image} ${count}`);
        },
      },
      lastEvents: () => [],
      memory: createNeedsMemory(folder, pipedef),
    });
    return { told, expectations };
  };
  const runOnce = () => {
    const run = boss().expectations.ofRun("repo");
    run.begun();
    run.stageStarted("unit", () => 4);
    for (let n = 0; n < 5; n++) run.called("unit", null, { image: "node", command: `${n}` });
    run.called("unit", "http://far:9009", { image: "far", command: "x" });
    run.stageStarted("e2e", () => 0);
    run.called("e2e", null, { image: "browser", command: "x", user: "1000" });
    run.ended();
  };

  test("of the first stage, before the pipedef has loaded, as much as runs at once", () => {
    runOnce();
    const { told, expectations } = boss();
    expectations.ahead(2);
    assert.deepEqual(told, ["null node 2"]);
  });

  test("all of it when the run begins, and what it asked of others is not kept", () => {
    runOnce();
    const { told, expectations } = boss();
    expectations.ofRun("repo").begun();
    assert.deepEqual(told, ["null node 5", "null browser 1"]);
  });

  test("once, until something is asked: the same word, come late, would have one too many made", () => {
    const asked = {
      image: "node",
      command: "x",
      user: "1000",
      workdir: "/w",
      memoryBytes: 2 ** 30,
    };
    const play = ({ expectations }: ReturnType<typeof boss>) => {
      expectations.ahead(2);
      const run = expectations.ofRun("repo");
      run.begun();
      run.stageStarted("unit", () => 0);
      run.called("unit", null, asked);
      run.ended();
    };
    play(boss());
    const again = boss();
    play(again);
    assert.deepEqual(again.told, ["null node 1", "null node 0"]);
    // The next run is another one.
    again.told.length = 0;
    play(again);
    assert.deepEqual(again.told, ["null node 1", "null node 0"]);
  });

  test("of another pipedef, or where the file is broken, nothing is known", () => {
    runOnce();
    const other = boss("/other/pipedef.ts");
    other.expectations.ahead(2);
    for (const name of readdirSync(join(folder, "needs"))) {
      writeFileSync(join(folder, "needs", name), '[{"stage":"unit"}]');
    }
    const broken = boss();
    broken.expectations.ahead(2);
    broken.expectations.ofRun("repo").begun();
    assert.deepEqual([...other.told, ...broken.told], []);
  });
});
