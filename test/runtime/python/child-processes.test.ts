// A task's processes: whatever command one of them asked for counts as if the task itself had asked.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, exits, loadRig, untilCancelled } from "./rig.js";

const thrown = (message: string) => ({ status: "failed", failure: { kind: "thrown", message } });
const red = { status: "failed", failure: { kind: "exit", command: "exit 4", exitCode: 4 } };
const passed = { status: "passed" };

/** `exit N` ends with N, `long` when it is told to, everything else with 0. */
const shell: Answer = (command) =>
  command.request.command === "long"
    ? untilCancelled(command)
    : exits(Number(/^exit (\d+)$/.exec(command.request.command)?.[1] ?? 0));

const pipedef = (body: string) => `
import asyncio, concurrent.futures, multiprocessing, multiprocessing.pool, os, signal, sys, threading, time
from bettertest import CommandFailed, Stage, run
fork = multiprocessing.get_context("fork")

def failing(): run("image", "exit 4")
def run_in_image(command): return run("image", command)

class T(Stage):
${body.replace(/^(?=.)/gm, "    ")}
`;

const pools = `
def task_pool():
    with fork.Pool(1) as pool:
        pool.apply_async(failing)
        pool.close()
        pool.join()
def task_pool_map():
    with fork.Pool(2) as pool:
        pool.starmap_async(run, [("image", "true"), ("image", "exit 4")]).wait()
def task_pool_imap():
    with fork.Pool(2) as pool:
        pool.imap_unordered(run_in_image, ["exit 4"])
        pool.close()
        pool.join()
def task_thread_pool():
    with multiprocessing.pool.ThreadPool(1) as pool:
        pool.apply_async(failing)
        pool.close()
        pool.join()
def task_heeded():
    with fork.Pool(2) as pool:
        result = pool.apply_async(failing)
        result.wait()
        assert not result.successful()
        for ask in [pool.apply_async(failing).get, lambda: pool.map(run_in_image, ["exit 4", "exit 5"], 1)]:
            try:
                ask()
            except CommandFailed as error:
                assert error.exit_code in (4, 5)
            else:
                assert False
        results = pool.imap(run_in_image, ["exit 4", "true"])
        try:
            next(results)
        except CommandFailed:
            pass
        assert next(results) == 0
        heard = []
        pool.apply_async(failing, error_callback=heard.append).wait()
        assert heard[0].exit_code == 4
`;

test("what a pool of multiprocessing keeps to itself counts, unless somebody asks", async () => {
  await using rig = await loadRig(pipedef(pools));
  for (const [, task] of pools.matchAll(/def task_(\w+)/g)) {
    const { end, output } = await rig.run(`T.task_${task}`, { answer: shell });
    assert.deepEqual(end, task === "heeded" ? passed : red, `${task}: ${output}`);
  }
});

const unhandled = `
def task_fork():
    if os.fork() == 0: failing()
def task_fork_waited_for():
    if os.fork() == 0: failing()
    os.wait()
def task_fork_that_asks_late():
    if os.fork() == 0:
        time.sleep(0.3)
        run("image", "true")
        time.sleep(0.3)
        failing()
def task_fork_of_fork():
    if os.fork() == 0:
        if os.fork() == 0: failing()
        os._exit(0)
    os.wait()
def task_fork_with_thread():
    if os.fork() == 0:
        threading.Thread(target=failing).start()
        return
    os.wait()
def task_fork_with_future():
    if os.fork() == 0:
        concurrent.futures.ThreadPoolExecutor().submit(failing)
        return
    os.wait()
def task_process():
    fork.Process(target=failing).start()
def task_process_joined():
    process = fork.Process(target=failing)
    process.start()
    process.join()
def task_process_that_asks_late():
    fork.Process(target=lambda: (time.sleep(0.5), failing())).start()
def task_process_class():
    class Own(fork.Process):
        def run(self): failing()
    Own().start()
def task_process_with_thread():
    process = fork.Process(target=lambda: threading.Thread(target=failing).start())
    process.start()
    process.join()
def task_process_in_process():
    fork.Process(target=lambda: fork.Process(target=failing).start()).start()
def task_daemon_process():
    process = fork.Process(target=failing, daemon=True)
    process.start()
    process.join()
def task_left_by_os_exit():
    process = fork.Process(target=failing)
    process.start()
    process.join()
    os._exit(0)
def task_executor():
    with concurrent.futures.ProcessPoolExecutor(1, fork) as pool: pool.submit(failing)
def task_open_executor():
    concurrent.futures.ProcessPoolExecutor(1, fork).submit(failing)
async def task_asyncio_executor():
    with concurrent.futures.ProcessPoolExecutor(1, fork) as pool:
        asyncio.get_running_loop().run_in_executor(pool, failing)
        await asyncio.sleep(0.3)
`;

test("a command that fails in a process of the task counts, whoever looks", async () => {
  await using rig = await loadRig(pipedef(unhandled));
  for (const [, task] of unhandled.matchAll(/def task_(\w+)/g)) {
    const { end, output } = await rig.run(`T.task_${task}`, { answer: shell });
    assert.deepEqual(end, red, `${task}: ${output}`);
    assert.match(output, /exit code 4: exit 4/, task);
  }
});

const heeded = `
def task_fork():
    if os.fork() == 0:
        try:
            failing()
        except CommandFailed:
            os._exit(0)
    os.wait()
def task_fork_unchecked():
    if os.fork() == 0: run("image", "exit 4", check=False)
def task_fork_that_is_late():
    if os.fork() == 0:
        time.sleep(0.3)
        try:
            failing()
        except CommandFailed:
            return
def task_process():
    def work():
        try:
            failing()
        except CommandFailed:
            pass
    fork.Process(target=work).start()
def task_other_error():
    fork.Process(target=lambda: [][1]).start()
def task_failed_before():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        future = pool.submit(failing)
        while not future.done(): time.sleep(0.01)
        process = fork.Process(target=run, args=("image", "true"))
        process.start()
        process.join()
        assert process.exitcode == 0
        future.exception()
def task_given_up_by_the_code():
    def work():
        class TooLate(Exception): pass
        def alarm(*_): raise TooLate
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            run("image", "long")
        except TooLate:
            pass
    fork.Process(target=work).start()
def task_ended_unchecked():
    process = fork.Process(target=run, args=("image", "long"), kwargs={"check": False})
    process.start()
    time.sleep(0.3)
    process.terminate()
`;

test("what the code of such a process deals with stays its own business", async () => {
  await using rig = await loadRig(pipedef(heeded));
  for (const [, task] of heeded.matchAll(/def task_(\w+)/g)) {
    const { end, output } = await rig.run(`T.task_${task}`, { answer: shell });
    assert.deepEqual(end, passed, `${task}: ${output}`);
  }
});

test("nobody waits for what ends with the task: daemons, managers, other programs", async () => {
  // Who waited would wait for longer than this test may take.
  await using rig = await loadRig(
    pipedef(`
def task_daemon():
    fork.Process(target=time.sleep, args=(600,), daemon=True).start()
def task_pool():
    T.pool = fork.Pool(2)
    T.pool.map(run_in_image, ["true"])
def task_manager():
    T.manager = fork.Manager()
    T.manager.dict()
def task_program():
    if os.fork() == 0: os.execvp("sleep", ["sleep", "600"])
`),
    { stallTimeoutMs: 600_000 },
  );
  for (const task of ["daemon", "pool", "manager", "program"]) {
    const { end, output } = await rig.run(`T.task_${task}`);
    assert.deepEqual(end, passed, `${task}: ${output}`);
  }
});

test("a daemonic process is waited for while its command runs", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_daemon():
    fork.Process(target=failing, daemon=True).start()
    run("image", "true")
`),
  );
  let failingAsked: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    failingAsked = resolve;
  });
  const { end } = await rig.run("T.task_daemon", {
    answer: async (command) => {
      if (command.request.command === "true") await asked;
      else {
        failingAsked();
        await new Promise((turn) => setTimeout(turn, 100));
      }
      return shell(command);
    },
  });
  assert.deepEqual(end, red);
});

test("a process that does not end is given up, but not while its command runs", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_endless():
    fork.Process(target=time.sleep, args=(600,)).start()
def task_now_and_then():
    if os.fork() == 0:
        while True:
            time.sleep(0.1)
            run("image", "true")
def task_long():
    fork.Process(target=run, args=("image", "long")).start()
`),
    { stallTimeoutMs: 2000 },
  );
  const words =
    "a process that the task started did not end, though the task had; wait for it or end it in the task";
  assert.deepEqual((await rig.run("T.task_endless")).end, thrown(words));
  assert.deepEqual((await rig.run("T.task_now_and_then")).end, thrown(words));
  const { end } = await rig.run("T.task_long", {
    answer: () => new Promise((resolve) => setTimeout(() => resolve(exits(0)), 3000)),
  });
  assert.deepEqual(end, passed);
});

test("a process that dies with its run() under way is no pass", async () => {
  await using rig = await loadRig(
    pipedef(`
def task_killed():
    process = fork.Process(target=run, args=("image", "long"))
    process.start()
    run("image", "once the process has called")
    process.kill()
    process.join()
def task_pool_left():
    with fork.Pool(1) as pool:
        pool.apply_async(run, ("image", "long"))
        run("image", "once the process has called")
def task_first_process():
    if os.fork() == 0:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    time.sleep(600)
def task_first_process_when_over():
    if os.fork() == 0:
        time.sleep(0.5)
        os.kill(os.getppid(), signal.SIGKILL)
`),
  );
  for (const task of ["killed", "pool_left"]) {
    let longAsked: () => void = () => {};
    const asked = new Promise<void>((resolve) => {
      longAsked = resolve;
    });
    const { end } = await rig.run(`T.task_${task}`, {
      answer: async (command) => {
        if (command.request.command !== "long") {
          await asked;
          return exits(0);
        }
        longAsked();
        return untilCancelled(command);
      },
    });
    assert.deepEqual(
      end,
      thrown("a process of the task ended while its run() was still under way"),
      task,
    );
  }
  for (const task of ["first_process", "first_process_when_over"]) {
    const { end } = await rig.run(`T.task_${task}`);
    assert.deepEqual(end, thrown("the task's process was killed by SIGKILL"), task);
  }
});
