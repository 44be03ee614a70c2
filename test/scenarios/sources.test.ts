// The code under test: a run tests the working tree as it is, on a worker that has it from the boss alone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { startWorker } from "../../src/worker/main.js";
import { startProxy } from "../rig/proxy.js";
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

for (const executor of ["process", "docker"] as const) {
  test(`one task of twenty rewrites everything; the files travel once (${executor})`, async () => {
    const worker = await startWorker({ executor, slots: 20, port: 0, log: () => {} });
    using proxy = await startProxy(() => worker.url);
    let sent = 0;
    proxy.onRequest = (chunk) => {
      sent += chunk.length;
    };
    const files = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [
        `f/${index}.txt`,
        `${index}\n`.padEnd(20_000, String(index)),
      ]),
    );
    try {
      await using rig = await startRig({
        workers: [proxy.url],
        files: {
          ...files,
          "go.sh":
            "cat f/*.txt | sha256sum > sum; sleep 1; cat f/*.txt | sha256sum -c sum && cat sum\n",
          ".bettertest/pipedef.ts": `
            import { run, stage, workspace } from "bettertest";
            const source = workspace();
            const s = stage("s");
            for (let n = 0; n < 19; n++)
              s.task("reads" + n, () => run("bettertest-base", "sh go.sh", { source }));
            s.task("writes", () => run("bettertest-base",
              "for n in 1 2 3; do for f in f/*; do rm $f; echo $n > $f; chmod 777 $f; done; done; rm -r f; echo x > go.sh", { source }));`,
        },
      });
      const run = await rig.run();
      assert.equal(run.status, "passed", glance(run).join("\n"));
      const sums = await Promise.all(
        Array.from({ length: 19 }, (_, n) => rig.output(run.id, "s", `reads${n}`)),
      );
      assert.deepEqual([...new Set(sums)], [sums[0]]);
      assert.ok(sent > 1_000_000 && sent < 1_200_000, String(sent));
      const again = await rig.run({ only: ["s.reads0"] });
      assert.equal(await rig.output(again.id, "s", "reads0"), sums[0]);
    } finally {
      await worker.stop();
    }
  });
}

test("an engine that does not see the worker's files gets them sent", async () => {
  const gate = createServer((near) => {
    const far = connect("/var/run/docker.sock");
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on("error", () => near.destroy() && far.destroy());
  });
  gate.listen(0, "127.0.0.1");
  await once(gate, "listening");
  const { port } = gate.address() as AddressInfo;
  try {
    await using rig = await startRig({
      executor: "docker",
      dockerHost: `tcp://127.0.0.1:${port}`,
      files: {
        "code.txt": "here\n",
        ".bettertest/pipedef.ts": `
          import { run, stage, workspace } from "bettertest";
          stage("s", { sees: () => run("bettertest-base", "pwd; ls; cat code.txt; test -L up && test -x run.sh && echo right", { source: workspace({ path: "/a/b" }) }) });`,
      },
    });
    writeFileSync(join(rig.folder, "repo/run.sh"), "", { mode: 0o755 });
    symlinkSync("../x", join(rig.folder, "repo/up"));
    const run = await rig.run();
    assert.equal(
      await rig.output(run.id, "s", "sees"),
      "/a/b\ncode.txt\nrun.sh\nup\nhere\nright\n",
    );
  } finally {
    gate.close();
  }
});

test("a Python pipedef asks in the same words, and .bettertestignore leaves out", async () => {
  await using rig = await startRig({
    files: {
      "code.txt": "here\n",
      "big.bin": "left out",
      ".bettertestignore": "*.bin\n",
      ".bettertest/pipedef.py": `
from bettertest import Stage, defaults, none, run, workspace

defaults(source=workspace())

class S(Stage):
    def task_sees():
        run("bettertest-base", "ls")
    def task_bare():
        run("bettertest-base", "ls", source=none)
`,
    },
  });
  const run = await rig.run();
  assert.deepEqual(glance(run), ["S.task_sees passed", "S.task_bare passed"]);
  assert.equal(await rig.output(run.id, "S", "task_sees"), "code.txt\n");
  assert.equal(await rig.output(run.id, "S", "task_bare"), "");
  const { run: seen } = await rig.get<{ run: typeof run }>(`/api/runs/${run.id}`);
  assert.equal(seen.sources?.[0]?.kind, "workspace");
});
