import assert from "node:assert/strict";
import { test } from "node:test";
import { mkfifo } from "./fifo.js";
import { isAlive, untilGone } from "./processes.js";
import { exits, loadRig } from "./rig.js";

const stage = (body: string, head = "") => `
import ctypes, os, subprocess, sys, threading, time
from bettertest import Stage, run
${head}

class T(Stage):
${body.replace(/^(?=.)/gm, "    ")}
`;

test("what Python, C code and child processes print is in order with what commands print", async () => {
  await using rig = await loadRig(
    stage(`
def task_mixed():
    libc = ctypes.CDLL(None)
    print("1 print", end=" ")
    print("2 stderr", file=sys.stderr)
    os.write(1, b"3 fd 1\\n")
    libc.puts(b"4 C stdio")
    subprocess.run(["sh", "-c", "echo 5 child; echo 6 child stderr >&2; echo 7 reopened > /dev/stdout"])
    run("image", "first")
    os.write(2, b"9 fd 2\\n")
    sys.stdout.buffer.write(b"10 buffer\\n")
    run("image", "second")
    libc.printf(b"12 no newline")
`),
  );
  let command = 8;
  const { end, output } = await rig.run("T.task_mixed", {
    answer: ({ print }) => {
      print(`${command} command\n`);
      command += 3;
      return exits(0);
    },
  });
  assert.deepEqual(end, { status: "passed" });
  assert.equal(
    output,
    [
      "1 print 2 stderr",
      "3 fd 1",
      "4 C stdio",
      "5 child",
      "6 child stderr",
      "7 reopened",
      "8 command",
      "9 fd 2",
      "10 buffer",
      "11 command",
      "12 no newline",
    ].join("\n"),
  );
});

test("a lot that was printed just before a call comes before the call's output, also to a slow disk", async () => {
  await using rig = await loadRig(
    stage(`
def task_lot():
    for n in range(20):
        sys.stdout.write("x" * 60000)
        run("image", "command")
`),
  );
  const { end, output } = await rig.run("T.task_lot", {
    onOutput: () => new Promise((resolve) => setImmediate(resolve)),
    answer: ({ print }) => {
      print("|");
      return exits(0);
    },
  });
  assert.deepEqual(end, { status: "passed" });
  assert.equal(output, `${"x".repeat(60000)}|`.repeat(20));
});

test("output is live: text without a newline arrives while the task is still busy", async () => {
  await using gate = mkfifo();
  await using waiting = await loadRig(
    stage(`
def task_live():
    print("working", end="")
    open(${JSON.stringify(gate.path)}).read()
    print(" done")
`),
  );
  const { output } = await waiting.run("T.task_live", {
    onOutput: async (soFar) => {
      if (soFar === "working") await gate.open();
    },
  });
  assert.equal(output, "working done\n");
});

test("a flood of output is slowed by a slow reader, and arrives whole", async () => {
  await using rig = await loadRig(
    stage(`
def task_flood():
    for n in range(3000):
        os.write(1, b"%06d" % n + b"." * 9994)
`),
  );
  let inFlight = 0;
  let most = 0;
  let size = 0;
  const end = await rig.host.runTask(
    { stage: "T", task: "task_flood", attempt: 1 },
    {
      async write(bytes) {
        inFlight += 1;
        most = Math.max(most, inFlight);
        await new Promise((resolve) => setImmediate(resolve));
        size += bytes.length;
        inFlight -= 1;
      },
      call: () => assert.fail("no call was made"),
    },
    new AbortController().signal,
  );
  assert.deepEqual(end, { status: "passed" });
  assert.equal(size, 30_000_000);
  assert.equal(most, 1, "the next piece is not handed over before the last one is written");
});

test("bytes that are not UTF-8 pass unchanged, and text that UTF-8 cannot hold fails its task only", async () => {
  await using rig = await loadRig(
    stage(`
def task_bytes():
    os.write(1, bytes(range(256)))
def task_umlaut():
    print("grün")
def task_surrogate():
    print("\\ud800")
`),
  );
  const chunks: Uint8Array[] = [];
  await rig.host.runTask(
    { stage: "T", task: "task_bytes", attempt: 1 },
    { write: (bytes) => void chunks.push(bytes), call: () => assert.fail() },
    new AbortController().signal,
  );
  assert.deepEqual(Buffer.concat(chunks), Buffer.from(Array.from({ length: 256 }, (_, n) => n)));
  assert.equal((await rig.run("T.task_umlaut")).output, "grün\n");
  assert.equal((await rig.run("T.task_surrogate")).end.status, "failed");
});

test("tasks that run side by side keep their output apart", async () => {
  await using rig = await loadRig(
    stage(`
def task_a():
    for n in range(300): print("a" * 100)
def task_b():
    for n in range(300): print("b" * 100)
`),
  );
  const [a, b] = await Promise.all([rig.run("T.task_a"), rig.run("T.task_b")]);
  assert.equal(a.output, `${"a".repeat(100)}\n`.repeat(300));
  assert.equal(b.output, `${"b".repeat(100)}\n`.repeat(300));
});

test("a daemon that keeps the task's output open does not keep the task from ending", async () => {
  await using rig = await loadRig(
    stage(`
def task_daemon():
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    print(child.pid)
`),
  );
  const { end, output } = await rig.run("T.task_daemon");
  assert.deepEqual(end, { status: "passed" });
  assert.ok(isAlive(Number(output)), "it may serve later tasks");
  await rig.host.close();
  await untilGone([Number(output)]);
});

test("what is printed while loading, and by threads afterwards, belongs to no task", async () => {
  await using rig = await loadRig({
    ".bettertest/pipedef.py": stage(
      "def task_a(): print('task')",
      `
print("loading")
os.system("echo from a child")
sys.stderr.write("to stderr")
`,
    ),
  });
  assert.equal(rig.loadOutput(), "loading\nfrom a child\nto stderr");
  assert.equal((await rig.run("T.task_a")).output, "task\n");

  await using gate = mkfifo();
  let sawOutput: (text: string) => void = () => {};
  const seen = new Promise<string>((resolve) => {
    sawOutput = resolve;
  });
  await using threaded = await loadRig(
    stage(
      "def task_a(): print('task')",
      `
def later():
    open(${JSON.stringify(gate.path)}).read()
    print("from the thread")
threading.Thread(target=later, daemon=True).start()
`,
    ),
    { onLoadOutput: (bytes) => sawOutput(Buffer.from(bytes).toString()) },
  );
  await gate.open();
  assert.match(await seen, /^from the thread/);
  assert.equal((await threaded.run("T.task_a")).output, "task\n");
});
