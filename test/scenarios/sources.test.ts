// The code under test: a run tests the working tree as it is, on a worker that has it from the boss alone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { glance, startRig } from "../rig/rig.js";

const pipedef = `
  import { defaults, none, run, stage, workspace } from "bettertest";
  defaults({ source: workspace() });
  stage("s", {
    sees: () => run("bettertest-base", "cat code.txt; ls; ls -A sub"),
    writes: () => run("bettertest-base", "echo other > code.txt; rm -r sub; cat code.txt"),
    sub: () => run("bettertest-base", "pwd; ls", { workdir: "/workspace/sub" }),
    bare: () => run("bettertest-base", "ls", { source: none }),
  });`;

function git(folder: string, ...args: string[]) {
  execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { cwd: folder });
}

for (const executor of ["process", "docker"] as const) {
  test(`tasks see the tree as it is, each its own (${executor})`, async () => {
    await using rig = await startRig({
      executor,
      slots: 4,
      files: {
        ".bettertest/pipedef.ts": pipedef,
        ".gitignore": "ignored.txt\n",
        "code.txt": "committed\n",
        "sub/gone.txt": "gone",
        "sub/here.txt": "here",
        "ignored.txt": "ignored",
      },
    });
    const repo = join(rig.folder, "repo");
    git(repo, "init", "-q", "-b", "main");
    git(repo, "add", "-A");
    git(repo, "commit", "-q", "-m", "first");
    const clean = await rig.run();
    assert.deepEqual(glance(clean), [
      "s.sees passed",
      "s.writes passed",
      "s.sub passed",
      "s.bare passed",
    ]);
    const [source] = clean.sources ?? [];
    assert.ok(source?.kind === "workspace");
    assert.equal(source.dirty, false);
    assert.equal(source.branch, "main");

    rig.write("code.txt", "edited\n");
    rig.write("new.txt", "new\n");
    rmSync(join(repo, "sub/gone.txt"));
    const dirty = await rig.run({ only: ["s.sees"] });
    assert.deepEqual(glance(dirty), ["s.sees passed"], JSON.stringify(dirty));
    assert.equal(
      await rig.output(dirty.id, "s", "sees"),
      "edited\ncode.txt\nnew.txt\nsub\nhere.txt\n",
    );
    assert.deepEqual(
      dirty.sources?.map((one) => one.kind === "workspace" && one.dirty),
      [true],
    );
    assert.notEqual(dirty.sources?.[0]?.tree, source.tree);

    // The files have changed since; what is run again is what was run.
    writeFileSync(join(repo, "code.txt"), "later\n");
    const again = rig.boss.engine.rerun(dirty.id, { failed: false, trigger: "test" });
    assert.ok(again.ok);
    await rig.boss.engine.finished(again.run);
    assert.match(await rig.output(again.run, "s", "sees"), /^edited\n/);
  });
}
