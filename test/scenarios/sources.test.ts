// The code under test: a run tests the working tree as it is, on a worker that has it from the boss alone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startWorker } from "../../src/worker/main.js";
import { farEngine } from "../rig/far-engine.js";
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

/** In all the ways in which only one who owns it all may. */
const writes = [
  "id -u && id -g && pwd && cat code.txt && echo mine > code.txt && cat code.txt",
  "echo new > sub/new.txt && rm sub/here.txt && mkdir more && mv more sub/more && rm -r sub/more",
  "chmod 700 run.sh && ./run.sh && touch kept.txt",
  "ls -ldn . sub sub/new.txt ro.txt up kept.txt cached cached/file | awk '{ print $3, $4, $1 }'",
].join(" && ");

function wrote(uid: number, gid: number, path: string): string {
  const folder = "drwxr-xr-x";
  const file = "-rw-r--r--";
  const modes = [folder, folder, file, file, "-r--r--r--", folder, file, "lrwxrwxrwx"];
  const rows = modes.map((mode) => `${uid} ${gid} ${mode}\n`);
  return `${uid}\n${gid}\n${path}\nhere\nmine\nran\n${rows.join("")}`;
}

function userRig(worker: { readonly dockerHost?: string }) {
  return startRig({
    ...worker,
    executor: "docker",
    files: {
      "code.txt": "here\n",
      "sub/here.txt": "here",
      "ro.txt": "here",
      "run.sh": "#!/bin/sh\necho ran\n",
      ".bettertest/pipedef.ts": `
        import { artifacts, defaults, run, stage, workspace } from "bettertest";
        defaults({ source: workspace() });
        const cache = { key: "one", paths: ["cached"] };
        const cached = "(mkdir -p cached && echo x >> cached/file) && ";
        stage("s", {
          number: () => run("bettertest-base", cached + ${JSON.stringify(writes)}, { user: "1234:56", artifacts: ["kept.txt"], cache }),
          name: () => run("bettertest-base", cached + ${JSON.stringify(writes)}, { user: "nobody", source: workspace({ path: "/a/b" }) }),
          below: () => run("bettertest-base", "pwd && touch x && ls", { user: "1234", workdir: "/workspace/sub/deep" }),
        });
        stage("after", {
          left: () => run("bettertest-base", "touch y && rm kept.txt && ls", { user: "nobody", source: artifacts("s.number") }),
          again: () => run("bettertest-base", cached + "wc -l < cached/file", { user: "1234:56", cache }),
          other: () => run("bettertest-base", cached + "wc -l < cached/file", { user: "nobody", cache }),
          root: () => run("bettertest-base", "ls -ldn . code.txt | awk '{ print $3, $4 }' && cat code.txt"),
        });`,
    },
  });
}

async function assertWritable(rig: Awaited<ReturnType<typeof userRig>>) {
  chmodSync(join(rig.folder, "repo/run.sh"), 0o755);
  chmodSync(join(rig.folder, "repo/ro.txt"), 0o444);
  symlinkSync("../x", join(rig.folder, "repo/up"));
  const run = await rig.run();
  const output = (stage: string, task: string) => rig.output(run.id, stage, task);
  assert.equal(await output("s", "number"), wrote(1234, 56, "/workspace"));
  assert.equal(await output("s", "name"), wrote(65534, 65534, "/a/b"));
  assert.equal(await output("s", "below"), "/workspace/sub/deep\nx\n");
  assert.equal(await output("after", "left"), "y\n");
  assert.equal(await output("after", "again"), "2\n");
  assert.equal(await output("after", "other"), "2\n");
  assert.match(await output("after", "root"), /^0 0\n0 0\nhere\n$/);
  assert.equal(run.status, "passed", glance(run).join("\n"));
}

test("a command that is not root's writes its source as root does", async () => {
  await using rig = await userRig({});
  await assertWritable(rig);
  // One more layer over those of that user, and what is gone stays gone.
  rig.write("code.txt", "edited\n");
  rmSync(join(rig.folder, "repo/sub"), { recursive: true });
  rig.write(
    ".bettertest/pipedef.ts",
    `import { run, stage, workspace } from "bettertest";
     stage("t", { edited: () => run("bettertest-base", "cat code.txt && ls && echo more >> code.txt && echo > new.txt", { user: "1234:56", source: workspace() }) });`,
  );
  const run = await rig.run();
  assert.equal(await rig.output(run.id, "t", "edited"), "edited\ncode.txt\nro.txt\nrun.sh\nup\n");
  assert.equal(run.status, "passed");
});

test("files that are sent belong to the command's user", async () => {
  using gate = await farEngine();
  await using rig = await userRig({ dockerHost: gate.url });
  await assertWritable(rig);
});

test("an engine that does not see the worker's files gets them sent", async () => {
  using gate = await farEngine();
  await using rig = await startRig({
    executor: "docker",
    dockerHost: gate.url,
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
  assert.equal(await rig.output(run.id, "s", "sees"), "/a/b\ncode.txt\nrun.sh\nup\nhere\nright\n");
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
