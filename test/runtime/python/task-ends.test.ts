import assert from "node:assert/strict";
import { test } from "node:test";
import { mkfifo } from "./fifo.js";
import { type Answer, exits, loadRig, untilCancelled } from "./rig.js";

const thrown = (message: string) => ({ status: "failed", failure: { kind: "thrown", message } });
const failedCommand = (command: string, exitCode: number) => ({
  status: "failed",
  failure: { kind: "exit", command, exitCode },
});
const passed = { status: "passed" };

/** `exit N` ends with N, everything else with 0. */
const shell: Answer = ({ request: { command } }) =>
  exits(Number(/^exit (\d+)$/.exec(command)?.[1] ?? 0));

const pipedef = (body: string) => `
import asyncio, concurrent.futures, ctypes, multiprocessing, os, signal, subprocess, sys, threading, time
from bettertest import CommandFailed, InfrastructureError, Stage, run

class T(Stage):
${body.replace(/^(?=.)/gm, "    ")}
`;

test("leaving a task by sys.exit, by an exception, by a crash: it ends that task only", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_exit(): sys.exit()
def task_exit_0(): sys.exit(0)
def task_exit_3(): sys.exit(3)
def task_exit_text(): sys.exit("no luck")
def task_raise(): raise ValueError("bad value")
def task_os_exit_0(): os._exit(0)
def task_os_exit_5(): os._exit(5)
def task_segfault(): ctypes.string_at(0)
def task_kill(): os.kill(os.getpid(), signal.SIGKILL)
def task_interrupt(): raise KeyboardInterrupt
def task_generator(): yield 1
def task_needs_more(a, b): pass
def task_fine(): pass
`),
  );
  const ends = {
    exit: passed,
    exit_0: passed,
    exit_3: thrown("the task called sys.exit(3)"),
    exit_text: thrown("the task called sys.exit('no luck')"),
    raise: thrown("ValueError: bad value"),
    os_exit_0: passed,
    os_exit_5: thrown("the task's process ended itself with exit code 5"),
    segfault: thrown("the task's process was killed by SIGSEGV"),
    kill: thrown("the task's process was killed by SIGKILL"),
    interrupt: thrown("KeyboardInterrupt"),
    generator: thrown("TypeError: the task is a generator (it has a yield), so nothing of it ran"),
    fine: passed,
  };
  for (const [name, end] of Object.entries(ends)) {
    assert.deepEqual((await rig.run(`T.task_${name}`)).end, end, name);
  }
  assert.equal((await rig.run("T.task_exit_text")).output, "no luck\n");
  assert.match(
    (await rig.run("T.task_segfault")).output,
    /Segmentation fault[\s\S]*pipedef\.py", line 1\d in task_segfault/,
  );
  assert.equal((await rig.run("T.task_needs_more")).end.status, "failed");
});

test("a traceback shows the author's frames, with paths from the root of the repo", async () => {
  await using rig = await loadRig({
    ".bettertest/pipedef.py": `from bettertest import Stage
import helper

class T(Stage):
    def task_raise():
        helper.check(3)
    async def task_async():
        helper.check(4)
    def task_bad_option():
        helper.start("90 parsecs")
`,
    ".bettertest/helper.py": `from bettertest import run

def check(value):
    try:
        {}[value]
    except KeyError as error:
        raise ValueError("bad value") from error

def start(timeout):
    run("image", "command", timeout=timeout)
`,
  });
  const raised = (first: string) => `Traceback (most recent call last):
  File ".bettertest/helper.py", line 5, in check
    {}[value]
KeyError: ${first.includes("3") ? 3 : 4}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
${first}
  File ".bettertest/helper.py", line 7, in check
    raise ValueError("bad value") from error
ValueError: bad value
`;
  // Newer Pythons underline the expression.
  const plain = (text: string) => text.replace(/^\s+[~^]+\n/gm, "");
  const sync = await rig.run("T.task_raise");
  assert.equal(
    plain(sync.output),
    raised('  File ".bettertest/pipedef.py", line 6, in task_raise\n    helper.check(3)'),
  );
  const asynchronous = await rig.run("T.task_async");
  assert.equal(
    plain(asynchronous.output),
    raised('  File ".bettertest/pipedef.py", line 8, in task_async\n    helper.check(4)'),
  );
  const option = await rig.run("T.task_bad_option");
  const message = `run: timeout must be seconds, or a text such as "90s" or "5m", not '90 parsecs'`;
  assert.deepEqual(option.end, thrown(`ValueError: ${message}`));
  assert.equal(
    plain(option.output),
    `Traceback (most recent call last):
  File ".bettertest/pipedef.py", line 10, in task_bad_option
    helper.start("90 parsecs")
  File ".bettertest/helper.py", line 10, in start
    run("image", "command", timeout=timeout)
ValueError: ${message}
`,
  );
});

test("the outcomes of a command: red, or a code that is never 0, or trouble of the machinery", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_checked(): run("image", "command")
def task_unchecked(): print(run("image", "command", check=False))
def task_caught():
    try:
        run("image", "command")
    except CommandFailed as error:
        print(error.reason, error.command, error.exit_code)
`),
  );
  const outcomes = [
    [exits(7), failedCommand("command", 7), "7\n", "exit command 7\n"],
    [
      { kind: "timed-out", afterMs: 1500 },
      { status: "failed", failure: { kind: "timeout", command: "command", afterMs: 1500 } },
      "124\n",
      "timeout command None\n",
    ],
    [
      { kind: "out-of-memory", limitBytes: null },
      {
        status: "failed",
        failure: { kind: "out-of-memory", command: "command", limitBytes: null },
      },
      "137\n",
      "out-of-memory command None\n",
    ],
  ] as const;
  for (const [outcome, end, unchecked, caught] of outcomes) {
    const answer = () => outcome;
    assert.deepEqual((await rig.run("T.task_checked", { answer })).end, end);
    const looked = await rig.run("T.task_unchecked", { answer });
    assert.deepEqual([looked.end, looked.output], [passed, unchecked]);
    const handled = await rig.run("T.task_caught", { answer });
    assert.deepEqual([handled.end, handled.output], [passed, caught]);
  }
  const answer = () => ({ kind: "faulted", message: "no such image", hint: "build it" }) as const;
  for (const task of ["checked", "unchecked", "caught"]) {
    const { end, output } = await rig.run(`T.task_${task}`, { answer });
    assert.deepEqual(end, {
      status: "errored",
      fault: { message: "no such image", hint: "build it" },
    });
    assert.equal(output, "bettertest: no such image\nbuild it\n");
  }
});

test("every option reaches the worker as the contract wants it", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_all():
    run("image", "command", env={"A": "b"}, workdir="/src", user=1000, timeout="1.5m", cpus=1.5,
        memory="512m", network=False, check=True)
def task_named():
    run(worker="http://w:1", image="image", command="command", timeout=2, memory=1024, env=None)
`),
  );
  assert.deepEqual((await rig.run("T.task_all")).calls, [
    {
      image: "image",
      command: "command",
      env: { A: "b" },
      workdir: "/src",
      user: "1000",
      timeoutMs: 90_000,
      cpus: 1.5,
      memoryBytes: 512 * 2 ** 20,
      network: false,
    },
  ]);
  assert.deepEqual((await rig.run("T.task_named")).calls, [
    { image: "image", command: "command", timeoutMs: 2000, memoryBytes: 1024 },
  ]);
});

test("calls side by side: threads, a pool, asyncio, child processes", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_threads():
    threads = [threading.Thread(target=run, args=("image", "c%d" % n)) for n in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
def task_pool():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        print(list(pool.map(lambda n: run("image", "c%d" % n), range(3))))
async def task_asyncio():
    print(await asyncio.gather(*[asyncio.to_thread(run, "image", "c%d" % n) for n in range(3)]))
def task_processes():
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=run, args=("image", "c%d" % n)) for n in range(3)]
    for child in children: child.start()
    for child in children: child.join()
`),
  );
  for (const task of ["threads", "pool", "asyncio", "processes"]) {
    // None is answered before all have been asked.
    let asked = 0;
    let allAsked: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      allAsked = resolve;
    });
    const numbers: number[] = [];
    const ran = await rig.run(`T.task_${task}`, {
      answer: async ({ call }) => {
        numbers.push(call);
        asked += 1;
        if (asked === 3) allAsked();
        await all;
        return exits(0);
      },
    });
    assert.deepEqual(ran.end, passed, task);
    assert.deepEqual(ran.calls.map(({ command }) => command).sort(), ["c0", "c1", "c2"]);
    assert.deepEqual(numbers, [1, 2, 3]);
  }
});

test("never green by accident: a call that nobody looks at is waited for, and its failure counts", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_thread():
    threading.Thread(target=run, args=("image", "exit 4")).start()
def task_daemon_thread():
    threading.Thread(target=run, args=("image", "exit 4"), daemon=True).start()
    run("image", "once the thread has called")
def task_pool():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pool.submit(run, "image", "exit 4")
def task_open_pool():
    concurrent.futures.ThreadPoolExecutor().submit(run, "image", "exit 4")
async def task_asyncio():
    asyncio.create_task(asyncio.to_thread(run, "image", "exit 4"))
    await asyncio.sleep(0.05)
async def task_asyncio_done():
    work = asyncio.create_task(asyncio.to_thread(run, "image", "exit 4"))
    await asyncio.wait([work])
def task_left_by_exit():
    threading.Thread(target=run, args=("image", "exit 4")).start()
    sys.exit(0)
`),
  );
  for (const task of [
    "thread",
    "daemon_thread",
    "pool",
    "open_pool",
    "asyncio",
    "asyncio_done",
    "left_by_exit",
  ]) {
    let threadCalled: () => void = () => {};
    const called = new Promise<void>((resolve) => {
      threadCalled = resolve;
    });
    const { end, output } = await rig.run(`T.task_${task}`, {
      answer: async (command) => {
        if (command.request.command === "exit 4") threadCalled();
        else await called;
        return shell(command);
      },
    });
    assert.deepEqual(end, failedCommand("exit 4", 4), task);
    assert.match(output, /bettertest: exit code 4: exit 4/, task);
  }
});

test("a failure that the author looks at stays the author's business", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_future():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert pool.submit(run, "image", "exit 4").exception().exit_code == 4
def task_result():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        future = pool.submit(run, "image", "exit 4")
        try:
            future.result()
        except CommandFailed:
            print("as expected")
def task_waits_before():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = []
        def work():
            while not (futures and futures[0]._condition._waiters): time.sleep(0.01)
            run("image", "exit 4")
        futures.append(pool.submit(work))
        try:
            futures[0].result()
        except CommandFailed:
            pass
def task_thread():
    def work():
        try:
            run("image", "exit 4")
        except CommandFailed:
            pass
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
async def task_asyncio():
    results = await asyncio.gather(asyncio.to_thread(run, "image", "exit 4"), return_exceptions=True)
    assert results[0].exit_code == 4
def task_process_pool():
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        try:
            pool.submit(run, "image", "exit 4").result()
        except CommandFailed as error:
            assert error.exit_code == 4
`),
  );
  for (const task of ["future", "result", "waits_before", "thread", "asyncio", "process_pool"]) {
    const { end, output } = await rig.run(`T.task_${task}`, { answer: shell });
    assert.deepEqual(end, passed, `${task}: ${output}`);
  }
});

test("futures that only the task itself imports are watched too", async () => {
  await using rig = await loadRig(`
import sys, time
from bettertest import CommandFailed, Stage, run

class T(Stage):
    def task_looked_at(self):
        assert "concurrent.futures" not in sys.modules
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor() as pool:
            futures = []
            def work():
                while not (futures and futures[0]._condition._waiters): time.sleep(0.01)
                run("image", "exit 4")
            futures.append(pool.submit(work))
            try:
                futures[0].result()
            except CommandFailed:
                pass
    def task_not_looked_at(self):
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor() as pool:
            pool.submit(run, "image", "exit 4")
    def task_process_pool_not_looked_at(self):
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            pool.submit(run, "image", "exit 4")
`);
  const ends = {
    looked_at: passed,
    not_looked_at: failedCommand("exit 4", 4),
    process_pool_not_looked_at: failedCommand("exit 4", 4),
  };
  for (const [task, end] of Object.entries(ends)) {
    const ran = await rig.run(`T.task_${task}`, { answer: shell });
    assert.deepEqual(ran.end, end, `${task}: ${ran.output}`);
  }
});

test("a process that a task leaves behind with its call is waited for, and counts", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_fork():
    if os.fork() == 0:
        run("image", "exit 4")
        os._exit(0)
    run("image", "true")
def task_fork_that_returns():
    if os.fork() == 0:
        return
    os.wait()
    raise ValueError("from the first process")
`),
  );
  let bothAsked: () => void = () => {};
  const both = new Promise<void>((resolve) => {
    bothAsked = resolve;
  });
  let asked = 0;
  const { end } = await rig.run("T.task_fork", {
    answer: async (command) => {
      asked += 1;
      if (asked === 2) bothAsked();
      await both;
      // The forked call ends long after the task's function has returned.
      if (command.request.command !== "true") await new Promise((turn) => setTimeout(turn, 100));
      return shell(command);
    },
  });
  assert.deepEqual(end, failedCommand("exit 4", 4));
  assert.deepEqual(
    (await rig.run("T.task_fork_that_returns")).end,
    thrown("ValueError: from the first process"),
  );
});

test("os._exit(0) while a command runs is not a pass, and the command is ended", async () => {
  await using gate = mkfifo();
  await using rig = await loadRig(
    pipedef(`
def task_gone():
    threading.Thread(target=run, args=("image", "long")).start()
    open(os.environ["GATE"]).read()
    os._exit(0)
`),
    { env: { GATE: gate.path } },
  );
  const { end } = await rig.run("T.task_gone", {
    answer: async (command) => {
      await gate.open();
      return untilCancelled(command);
    },
  });
  assert.deepEqual(
    end,
    thrown("the task's process ended itself while a run() was still under way"),
  );
});

test("cancel ends a task with its process group, wherever it is", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_loop():
    print("started")
    while True: pass
def task_child():
    subprocess.run(["sh", "-c", "trap '' TERM; echo started; sleep 600; echo never"])
def task_call():
    print("started")
    run("image", "long")
def task_stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("started")
    while True:
        try:
            run("image", "long")
        except BaseException as error:
            print("caught", error)
`),
  );
  for (const task of ["loop", "child", "call", "stubborn"]) {
    const cancel = new AbortController();
    const { end } = await rig.run(`T.task_${task}`, {
      answer: untilCancelled,
      signal: cancel.signal,
      onOutput: () => cancel.abort(),
    });
    assert.deepEqual(end, { status: "cancelled" }, task);
  }
  const before = await rig.run("T.task_loop", { signal: AbortSignal.abort() });
  assert.deepEqual(before.end, { status: "cancelled" });
});

test("a call that no worker would take fails, and harms no other task", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_too_long(): run("img", "true " + "x" * 200000)
def task_fine(): run("img", "fine")
`),
  );
  const [tooLong, fine] = await Promise.all([rig.run("T.task_too_long"), rig.run("T.task_fine")]);
  assert.equal(tooLong.end.status, "errored");
  assert.match(JSON.stringify(tooLong.end), /run: command: /);
  assert.deepEqual(fine.end, passed);
});
