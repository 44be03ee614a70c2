// `bettertest watch` on real files, by what it prints as JSON and on a terminal.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { ctrlC, onTerminal } from "./on-terminal.js";
import { type RunningCli, startCli, type TempRepo, tempRepo } from "./rig.js";

const pipedef = ".bettertest/pipedef.ts";
const flags = ["watch", "--executor", "process", "--slots", "1"];

/** A task for each name, which is what the file of that name says: a command. */
function tasksOf(...names: readonly string[]): string {
  return `
import { run, stage, workspace } from "bettertest";
const unit = stage("unit");
for (const name of ${JSON.stringify(names)})
  unit.task(name, () => run("none", "sh ./" + name, { source: workspace() }));
`;
}

interface Watched extends AsyncDisposable {
  readonly cli: RunningCli;
  /** The next line of that type, and all before it are gone. */
  next(type: string): Promise<Record<string, unknown>>;
  /** The next run: why it began, its tasks in the order of their start, its verdict. */
  run(): Promise<{ paths: unknown; cause: unknown; order: string[]; verdict: unknown }>;
}

function startWatch(repo: TempRepo, more: readonly string[] = []): Watched {
  const cli = startCli([...flags, "--json", ...more], { cwd: repo.folder });
  let read = 0;
  const next: Watched["next"] = async (type) => {
    for (;;) {
      const lines = (await cli.prints(new RegExp(`^(.*\\n){${read + 1}}`))).split("\n");
      const line: Record<string, unknown> = JSON.parse(lines[read]!);
      read += 1;
      if (line.type === type) return line;
    }
  };
  return {
    cli,
    next,
    async run() {
      const { paths, cause } = await next("begin");
      const order: string[] = [];
      for (;;) {
        const lines = (await cli.prints(new RegExp(`^(.*\\n){${read + 1}}`))).split("\n");
        const line = JSON.parse(lines[read]!);
        read += 1;
        if (line.event?.type === "attempt-started") order.push(line.event.task);
        if (line.type === "result") return { paths, cause, order, verdict: line.verdict };
      }
    },
    async [Symbol.asyncDispose]() {
      cli.child.kill("SIGTERM");
      await cli.ended;
    },
  };
}

function gitIn(folder: string) {
  const who = ["-c", "user.name=n", "-c", "user.email=e@x"];
  return (...args: readonly string[]) =>
    execFileSync("git", [...who, ...args], { cwd: folder, stdio: "pipe" });
}

suite("watch", () => {
  test("runs at each change that counts, what failed first, and ends with 0", async () => {
    using repo = tempRepo({
      [pipedef]: tasksOf("a", "b", "c"),
      a: "true",
      b: "true",
      c: "exit 1",
      ".gitignore": "*.log\nbuild/\n",
    });
    gitIn(repo.folder)("init", "-q");
    const watched = startWatch(repo);
    {
      await using _ = watched;
      const first = await watched.run();
      assert.deepEqual([first.order.length, first.verdict], [3, "failed"]);
      assert.deepEqual((await watched.next("waiting")).failed, ["unit.c"]);

      // What git ignores wakes nobody, nor does a save of the same: the next thing heard is the change of `c`.
      repo.write("some.log", "1");
      repo.write("build/deep/thing", "1");
      repo.write("a", "true");
      repo.write("c", "true");
      const second = await watched.run();
      assert.deepEqual([second.cause, second.paths], ["c changed", ["c"]]);
      assert.deepEqual([second.order[0], second.verdict], ["c", "passed"]);
      assert.deepEqual((await watched.next("waiting")).failed, []);

      // As editors save: beside it, then in its place.
      writeFileSync(join(repo.folder, ".a.swap"), "exit 3");
      renameSync(join(repo.folder, ".a.swap"), join(repo.folder, "a"));
      const third = await watched.run();
      assert.deepEqual([third.paths, third.verdict], [["a"], "failed"]);

      // Folders that were not there at the start, and go and come again.
      for (const text of ["1", "2"]) {
        mkdirSync(join(repo.folder, "new/deep/er"), { recursive: true });
        repo.write("new/deep/er/file", text);
        assert.deepEqual((await watched.run()).paths, ["new/deep/er/file"]);
        repo.write("new/deep/er/file", `${text} again`);
        assert.deepEqual((await watched.run()).paths, ["new/deep/er/file"]);
        rmSync(join(repo.folder, "new"), { recursive: true });
        assert.equal((await watched.run()).verdict, "failed");
      }
    }
    assert.equal((await watched.cli.ended).exitCode, 0);
  });

  test("a change cancels the run under way; what it had found out counts", async () => {
    using repo = tempRepo({
      [pipedef]: tasksOf("quick", "slow"),
      quick: "exit 1",
      slow: "exec sleep 100",
    });
    await using watched = startWatch(repo, ["--keep-going"]);
    await watched.next("begin");
    // Tasks nobody knows start in the order of the source.
    for (let begun = false; !begun; ) {
      const { event } = (await watched.next("event")) as { event: { type: string; task?: string } };
      begun = event.type === "attempt-started" && event.task === "slow";
    }
    repo.write("slow", "true");
    assert.equal((await watched.next("superseded")).run, 1);
    assert.equal((await watched.next("begin")).cause, "slow changed");
    const verdicts = new Set([
      (await watched.next("result")).verdict,
      (await watched.next("result")).verdict,
    ]);
    assert.deepEqual(verdicts, new Set(["cancelled", "failed"]));
    assert.deepEqual((await watched.next("waiting")).failed, ["unit.quick"]);
  });

  test("a pipedef that cannot be used is said, and the next save runs", async () => {
    using repo = tempRepo({ [pipedef]: "const a = ;", a: "true", b: "true" });
    await using watched = startWatch(repo, ["--only", "unit"]);
    assert.match(String((await watched.next("result")).problem), /pipedef\.ts:1:11/);
    await watched.next("waiting");
    repo.write(pipedef, tasksOf("a"));
    const { order, verdict } = await watched.run();
    assert.deepEqual([order, verdict], [["a"], "passed"]);
    // A task that is new belongs to what was asked for.
    repo.write(pipedef, tasksOf("a", "b"));
    assert.deepEqual((await watched.run()).order.toSorted(), ["a", "b"]);
    repo.write(pipedef, "throw new Error('not yet')");
    await watched.next("begin");
    assert.match(String((await watched.next("result")).problem), /not yet/);
  });

  test("2: a stage that does not exist", async () => {
    using repo = tempRepo({ [pipedef]: tasksOf("a"), a: "true" });
    const { exitCode, stderr } = await startCli([...flags, "--only", "unti"], { cwd: repo.folder })
      .ended;
    assert.equal(exitCode, 2);
    assert.match(stderr, /no stage or task "unti"; there is: unit/);
  });

  test("as plain lines: why, and where one run ends and the next begins", async () => {
    using repo = tempRepo({ [pipedef]: tasksOf("a"), a: "true" });
    const watch = startCli(flags, { cwd: repo.folder });
    await watch.prints("waiting for changes");
    repo.write("a", "echo no; exit 4");
    await watch.prints(
      /── \d\d:\d\d:\d\d {2}a changed ─+\n(.|\n)*FAILED(.|\n)*waiting for changes/,
    );
    watch.child.kill("SIGINT");
    assert.equal((await watch.ended).exitCode, 0);
  });
});

suite("watch on a terminal", { skip: process.platform !== "linux" }, () => {
  test("keys: what failed, all, help, and q ends it and gives the terminal back", async () => {
    using repo = tempRepo({ [pipedef]: tasksOf("a", "b"), a: "true", b: "exit 1" });
    using session = onTerminal(flags, { cwd: repo.folder });

    await session.shows("f: the 1 that failed");
    session.type("h");
    await session.shows("run only what failed");
    session.type("f");
    await session.shows("what failed, again");
    await session.shows("1 failed ·");
    session.type("\r");
    await session.shows("all again");
    await session.shows("1 failed · 1 passed");
    session.type("q");
    const { exitCode, shown } = await session.ended;
    assert.equal(exitCode, 0);
    const show = "\u001b[?25h";
    const hide = "\u001b[?25l";
    assert.ok(shown.lastIndexOf(show) > shown.lastIndexOf(hide));
  });

  test("Ctrl-C in the middle of a run ends that in order", async () => {
    using repo = tempRepo({ [pipedef]: tasksOf("a"), a: "sleep 100" });
    using session = onTerminal(flags, { cwd: repo.folder });
    await session.shows("running");
    session.type(ctrlC);
    await session.shows("CANCELLED");
    assert.equal((await session.ended).exitCode, 0);
  });
});
