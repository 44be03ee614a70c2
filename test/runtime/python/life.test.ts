// Nothing is left behind, whoever dies first.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { childrenOf, isAlive, stateOf, untilGone } from "./processes.js";
import { loadRig, openRig, untilCancelled } from "./rig.js";

const busy = `
import os, signal, subprocess, sys
from bettertest import Stage, run
class T(Stage):
    def task_a():
        child = subprocess.Popen(["sleep", "600"])
        print(os.getppid(), os.getpid(), child.pid)
        run("image", "long")
    def task_with_daemon():
        daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
        print(os.getppid(), os.getpid(), daemon.pid)
        run("image", "long")
    def task_loop():
        print(os.getppid(), os.getpid())
        while True: pass
    def task_pass(): pass
`;

const numbers = (text: string) => (text.match(/\d+/g) ?? []).map(Number);

/** Starts a task that goes on for ever; resolves with the process ids it prints. */
async function startEndless(rig: Awaited<ReturnType<typeof loadRig>>, task: string) {
  let printed: (pids: number[]) => void = () => {};
  const pids = new Promise<number[]>((resolve) => {
    printed = resolve;
  });
  const ran = rig.run(task, {
    answer: untilCancelled,
    onOutput: (soFar) => {
      if (soFar.endsWith("\n")) printed(numbers(soFar));
    },
  });
  return { ran, pids: await pids };
}

test("close ends tasks, their children, and the daemons they left", async () => {
  const rig = await loadRig(busy);
  const tasks = await Promise.all(
    ["T.task_a", "T.task_with_daemon", "T.task_loop"].map((task) => startEndless(rig, task)),
  );
  const pids = tasks.flatMap((task) => task.pids);
  assert.equal(pids.length, 8);
  await rig.host.close();
  assert.deepEqual(pids.filter(isAlive), []);
  for (const { ran } of tasks) assert.equal((await ran).end.status, "errored");
  await rig.host.close();
  await rig[Symbol.asyncDispose]();
});

test("a child that the pipedef started while loading ends with the host, also when loading never ends", async () => {
  const source = (loop: string) => `
import subprocess
from bettertest import Stage
print(subprocess.Popen(["sleep", "600"]).pid)
class T(Stage):
    def task_pass(): pass
${loop}`;
  const loaded = await loadRig(source(""));
  const [child = 0] = numbers(loaded.loadOutput());
  assert.ok(isAlive(child));
  await loaded[Symbol.asyncDispose]();
  assert.ok(!isAlive(child));

  let saw: (pid: number) => void = () => {};
  const seen = new Promise<number>((resolve) => {
    saw = resolve;
  });
  const stuck = await openRig(source("while True: pass"), {
    onLoadOutput: (bytes) => saw(numbers(Buffer.from(bytes).toString())[0] ?? 0),
  });
  const loading = stuck.load();
  const pid = await seen;
  await stuck[Symbol.asyncDispose]();
  const ended = await loading;
  assert.equal(
    ended.ok ? null : ended.problem.message,
    "the host was closed before the pipedef was loaded",
  );
  await untilGone([pid]);
});

test("what the pipedef registered for the end of the program runs once, at the end", async () => {
  const rig = await loadRig(`
import atexit, tempfile
from bettertest import Stage
folder = tempfile.TemporaryDirectory(dir=".")
class T(Stage):
    def task_a(): open(folder.name + "/a", "w")
    def task_b(): open(folder.name + "/b", "w")
`);
  await rig.run("T.task_a");
  assert.deepEqual((await rig.run("T.task_b")).end, { status: "passed" });
  const folders = () => readdirSync(rig.root).filter((name) => name.startsWith("tmp"));
  assert.equal(folders().length, 1);
  await rig.host.close();
  assert.deepEqual(folders(), []);
  await rig[Symbol.asyncDispose]();
});

test("the interpreter dies: its tasks end as errored, the host says it is broken, no task lives on", async () => {
  await using rig = await loadRig(busy);
  const one = await startEndless(rig, "T.task_a");
  const two = await startEndless(rig, "T.task_loop");
  const [interpreter = 0] = one.pids;
  process.kill(interpreter, "SIGKILL");
  const fault = await rig.host.broken;
  assert.equal(fault.message, "the Python interpreter of pipedef.py was killed by SIGKILL");
  assert.deepEqual((await one.ran).end, { status: "errored", fault });
  assert.deepEqual((await two.ran).end, { status: "errored", fault });
  await untilGone([...one.pids, ...two.pids]);
  assert.equal((await rig.run("T.task_pass")).end.status, "errored");
});

test("the interpreter is stopped: a task that cannot be started or cancelled breaks the host", async () => {
  for (const action of ["start", "cancel"] as const) {
    await using rig = await loadRig(busy, { stallTimeoutMs: 1000 });
    const cancel = new AbortController();
    let stopped = false;
    const ran = rig.run("T.task_loop", {
      signal: cancel.signal,
      onOutput: (soFar) => {
        if (stopped) return;
        stopped = true;
        process.kill(numbers(soFar)[0] ?? 0, "SIGSTOP");
        if (action === "cancel") cancel.abort();
        else void rig.run("T.task_pass");
      },
    });
    const fault = await rig.host.broken;
    assert.match(fault.message, new RegExp(`did not answer for 1 s when told to ${action} a task`));
    assert.equal((await ran).end.status, action === "cancel" ? "cancelled" : "errored");
  }
});

test("the boss is killed: interpreter, tasks and their children end by themselves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-python-"));
  try {
    const pipedefs = {
      task: busy,
      "task that is busy": busy.replace('run("image", "long")', "sum(iter(int, 1))"),
      loading: `
import os, subprocess
print(os.getpid(), subprocess.Popen(["sleep", "600"]).pid)
sum(iter(int, 1))
`,
    };
    for (const [name, source] of Object.entries(pipedefs)) {
      const pipedef = join(folder, "pipedef.py");
      writeFileSync(pipedef, source);
      const main = fileURLToPath(new URL("./boss-process.js", import.meta.url));
      const boss = spawn(process.execPath, [main, pipedef], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      while (!text.endsWith("\n")) text += String((await once(boss.stdout, "data"))[0]);
      const pids = numbers(text);
      assert.ok(pids.length >= 2 && pids.every(isAlive), name);
      boss.kill("SIGKILL");
      await untilGone(pids);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("500 tasks, 100 of them at once, leave no process and no file descriptor in the interpreter", async () => {
  await using rig = await loadRig(busy);
  const probe = await startEndless(rig, "T.task_loop");
  const [interpreter = 0, loop = 0] = probe.pids;
  const open = () => readdirSync(`/proc/${interpreter}/fd`).length;
  const before = open();
  for (let round = 0; round < 5; round++) {
    const ran = await Promise.all(Array.from({ length: 100 }, () => rig.run("T.task_pass")));
    assert.ok(ran.every(({ end }) => end.status === "passed"));
  }
  assert.equal(open(), before);
  assert.deepEqual(childrenOf(interpreter), [loop]);
  assert.equal(stateOf(loop), "R");
});

test("a second host beside a broken one is not disturbed", async () => {
  await using good = await loadRig(busy);
  await using bad = await loadRig(busy);
  const victim = await startEndless(bad, "T.task_loop");
  process.kill(victim.pids[0] ?? 0, "SIGSEGV");
  await bad.host.broken;
  assert.deepEqual((await good.run("T.task_pass")).end, { status: "passed" });
});
