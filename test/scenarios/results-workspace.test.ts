// What commands leave in a working tree that they were given.

import assert from "node:assert/strict";
import { test } from "node:test";
import { findTask } from "../../src/model/run.js";
import { farEngine } from "../rig/far-engine.js";
import { startRig } from "../rig/rig.js";

const report = `<testsuite name='s'><testcase name='good'/><testcase name='bad'><failure message='no'/></testcase></testsuite>`;
const pipedef = `
  import { run, stage, workspace } from "bettertest";
  const source = workspace();
  const leave = ${JSON.stringify(`mkdir -p out/sub; echo "${report}" > junit.xml; echo built > out/sub/app.js; cp out/sub/app.js kept.txt; rm gone.txt`)};
  stage("s", {
    leaves: () => run("bettertest-base", leave, { source, results: "junit.xml", artifacts: ["out/**", "*.txt"] }),
    below: () => run("bettertest-base", "echo x > made.txt", { source, workdir: "/workspace/dir", artifacts: "*.txt" }),
    elsewhere: () => run("bettertest-base", "echo x > made.txt", { source, workdir: "/tmp", artifacts: "*.txt" }),
  });`;

const places = ["process", "docker", "far docker"] as const;

for (const where of places) {
  test(`a report that came with the source is none of the command (${where})`, async () => {
    using engine = await farEngine();
    const green = "<testsuite><testcase name='old'/></testsuite>\n";
    const calls = {
      dies: 'run("bettertest-base", "true", { source, results: "junit.xml", artifacts: "*.xml" })',
      below: `run("bettertest-base", "touch other", { source, workdir: "/workspace/dir", results: "*.xml" })`,
      writes: `run("bettertest-base", "sed s/old/new/ junit.xml > x; cat x > junit.xml", { source, results: "junit.xml" })`,
      // In a file of its own, so that its time tells nothing.
      repeats: `run("bettertest-base", "cp junit.xml x; rm junit.xml; cat x > junit.xml", { source, results: "junit.xml" })`,
    };
    const tasks = Object.entries(calls).map(([name, call]) => `${name}: () => ${call}`);
    await using rig = await startRig({
      executor: where === "process" ? "process" : "docker",
      slots: 4,
      files: {
        ".bettertest/pipedef.ts": `import { run, stage, workspace } from "bettertest";
          const source = workspace();
          stage("s", { ${tasks.join(", ")} });`,
        "junit.xml": green,
        "dir/junit.xml": green,
      },
      ...(where === "far docker" && { dockerHost: engine.url }),
    });
    const run = await rig.run();
    const files = (task: string) => findTask(run, { stage: "s", task })?.attempts[0]?.files?.[1];
    const notes = ["results: junit.xml is older than the command, and was not read"];
    assert.deepEqual(files("dies"), {
      notes,
      artifacts: { files: 1, bytes: green.length },
    });
    assert.deepEqual(files("below"), { notes });
    assert.deepEqual([files("writes")?.notes, files("writes")?.tests?.passed], [[], 1]);
    // Only an overlay tells it from what was there.
    if (where !== "far docker" && process.getuid?.() === 0) {
      assert.deepEqual([files("repeats")?.notes, files("repeats")?.tests?.passed], [[], 1]);
    }
  });
}

for (const where of places) {
  test(`results and artifacts of a command in the working tree (${where})`, async () => {
    using engine = await farEngine();
    await using rig = await startRig({
      executor: where === "process" ? "process" : "docker",
      slots: 3,
      files: {
        ".bettertest/pipedef.ts":
          where === "process" ? pipedef.replace(/elsewhere:.*\n/, "") : pipedef,
        "dir/here.txt": "here\n",
        "here.txt": "here\n",
        "gone.txt": "gone\n",
      },
      ...(where === "far docker" && { dockerHost: engine.url }),
    });
    const run = await rig.run();
    const files = (task: string) => findTask(run, { stage: "s", task })?.attempts[0]?.files?.[1];
    assert.deepEqual(
      files("leaves")?.notes,
      [],
      (await rig.output(run.id, "s", "leaves")) + JSON.stringify(run.stages),
    );
    assert.equal(files("leaves")?.tests?.failed, 1);
    assert.equal(files("leaves")?.tests?.passed, 1);
    const listed = async (task: string) => {
      type List = { artifacts: { path: string }[] };
      const { artifacts } = await rig.get<List>(
        `/api/runs/${run.id}/artifacts?stage=s&task=${task}`,
      );
      return artifacts.map(({ path }) => path).sort();
    };
    assert.deepEqual(await listed("leaves"), ["here.txt", "kept.txt", "out/sub/app.js"]);
    assert.deepEqual(await listed("below"), ["here.txt", "made.txt"]);
    if (where !== "process") assert.deepEqual(await listed("elsewhere"), ["made.txt"]);
  });
}
