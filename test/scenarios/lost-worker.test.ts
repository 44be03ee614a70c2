// Workers that are killed in the middle of a run, with and without somebody to take over.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { eachTask, type Run } from "../../src/model/run.js";
import { jsonLines, type RunningCli, startCli, tempRepo } from "../cli/rig.js";
import { image, noDocker } from "../rig/docker.js";
import { startProxy } from "../rig/proxy.js";
import { type RigOptions, startRig } from "../rig/rig.js";
import {
  containersOf,
  createScriptedExecutor,
  eventually,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

/** "task: how each attempt ended" of each task. */
function attemptsOf(run: Run): string[] {
  return [...eachTask(run)].map(
    ({ ref, task }) =>
      `${ref.task} ${task.status}: ${task.attempts.map(({ end }) => end?.status).join(", ")}`,
  );
}

async function addressOf(program: RunningCli): Promise<string> {
  return /http:\/\/[\w.:]+\d/.exec(await program.prints(/http:\/\/[\w.:]+\d/))![0];
}

describe("a worker with Docker that is killed and started again", { skip: noDocker() }, () => {
  test("its tasks are tried again; the run passes, every attempt is told, nothing is left", async () => {
    const count = 8;
    using repo = tempRepo({
      ".bettertest/pipedef.ts": `
        import { run, stage } from "bettertest";
        const many = stage("many");
        for (let i = 0; i < ${count}; i++)
          many.task("t" + i, () => run("${image}", "echo " + i + "; sleep 2"));`,
    });
    const worker = (port: string) => startCli(["worker", "--port", port, "--slots", "2"]);
    const first = worker("0");
    const url = await addressOf(first);
    const program = startCli(["run", "--worker", url, "--json", "--infra-retries", "2"], {
      cwd: repo.folder,
    });
    await program.prints(/"call-started"[^\n]*"task":"t3"/);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = worker(new URL(url).port);
    try {
      const { exitCode, stdout } = await program.ended;
      assert.equal(exitCode, 0, stdout.slice(-3000));
      const ends = jsonLines(stdout)
        .filter((line) => line.type === "event")
        .map((line) => line.event as { type: string; end?: { status: string }; attempt: number })
        .filter((event) => event.type === "attempt-finished");
      assert.equal(ends.filter(({ end }) => end?.status === "passed").length, count);
      const errored = ends.filter(({ end }) => end?.status === "errored");
      assert.ok(errored.length >= 1, "an attempt was under way when the worker was killed");
      assert.equal(ends.length, count + errored.length);
    } finally {
      second.child.kill("SIGTERM");
      await second.ended;
    }
    assert.deepEqual(containersOf(first.child.pid!), []);
    assert.deepEqual(containersOf(second.child.pid!), []);
  });
});

/** Its command hangs when it is first started, and passes when started again. */
const hangsOnce = (worker = "") => `
  import { run, stage } from "bettertest";
  const ledger = process.env.LEDGER;
  const command = "echo started >> " + ledger + "; [ $(wc -l < " + ledger + ") -gt 1 ] || exec sleep 600";
  stage("s", { t: () => run(${worker}"any", command) });`;

async function startRun(pipedef: string, options: Partial<RigOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-lost-"));
  const ledger = join(folder, "ledger");
  const rig = await startRig({
    files: { ".bettertest/pipedef.ts": pipedef },
    env: { LEDGER: ledger },
    workerLeaseMs: 60_000,
    ...options,
  });
  const { engine } = rig.boss;
  await eventually(() => engine.workers.views().every(({ status }) => status === "connected"));
  const started = engine.start({ trigger: "test" });
  assert.ok(started.ok);
  return {
    engine,
    id: started.run,
    ended: engine.finished(started.run),
    attempts: () => engine.store.run(started.run)?.stages[0]?.tasks[0]?.attempts ?? [],
    firstStart: () => eventually(() => existsSync(ledger)),
    starts: () => readFileSync(ledger, "utf8").trim().split("\n").length,
    async [Symbol.asyncDispose]() {
      await rig[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type LostRun = Awaited<ReturnType<typeof startRun>> & { readonly workers: readonly string[] };

/** One of two workers is killed while it runs the task. */
async function whileItsWorkerIsLost(
  pipedef: string,
  check: (run: LostRun, ended: Run) => void = () => {},
): Promise<void> {
  await using first = await startWorkerProcess({ executor: "process" });
  await using second = await startWorkerProcess({ executor: "process" });
  const workers = [first.url, second.url];
  await using run = await startRun(pipedef, { workers, workerLeaseMs: 2_000 });
  await run.firstStart();
  await first.kill();
  const ended = await run.ended;
  assert.deepEqual(attemptsOf(ended), ["t passed: errored, passed"]);
  assert.match(JSON.stringify(run.attempts()[0]?.end), /worker \S+ was lost/);
  check({ ...run, workers }, ended);
}

test("a worker is killed: its task goes to another one", () =>
  whileItsWorkerIsLost(hangsOnce(), (run, ended) => {
    const attempts = ended.stages[0]?.tasks[0]?.attempts ?? [];
    assert.deepEqual(
      attempts.map(({ calls }) => calls[0]?.worker),
      run.workers,
    );
    assert.equal(run.starts(), 2);
  }));

test("a task that collects or wraps the loss of its worker is tried again, and not red", () => {
  const collecting = hangsOnce().replace(
    '=> run("any", command)',
    `=> Promise.allSettled([run("any", command)]).then((all) => {
      if (all.some(({ status }) => status === "rejected")) throw new Error("the tests failed");
    })`,
  );
  return whileItsWorkerIsLost(collecting);
});

test("a worker that is being stopped refuses: that uses up none of the tries for a lost one", async () => {
  const executor = createScriptedExecutor();
  await using stopping = await startTestWorker({ executor, slots: 1 });
  await using second = await startWorkerProcess({ executor: "process" });
  await using third = await startWorkerProcess({ executor: "process" });
  const busy = stopping.execute("runs to its end");
  const command = await executor.nextCommand();
  const stopped = stopping.worker.stop({ graceMs: 60_000 });

  let target = stopping.url;
  using proxy = await startProxy(() => target);
  await using run = await startRun(hangsOnce(`"${proxy.url}", `), {
    workers: [],
    infraRetries: 1,
    workerLeaseMs: 5_000,
  });
  const refused = () => run.attempts().some(({ end }) => end?.status === "errored");
  await eventually(refused);
  assert.match(JSON.stringify(run.attempts()[0]), /this worker is stopping/);
  command.exit(0);
  await Promise.all([busy, stopped]);
  proxy.cut();
  target = second.url;
  proxy.restore();
  await run.firstStart();
  proxy.cut();
  await second.kill();
  target = third.url;
  proxy.restore();
  const ended = await run.ended;
  assert.equal(ended.status, "passed");
  const ends = run.attempts().map(({ end }) => end?.status);
  assert.deepEqual(ends, ["errored", "errored", "passed"]);
});

test("a worker is lost while it hands over what a command has left: tried again, and the boss lives", async () => {
  await using worker = await startWorkerProcess({ executor: "process" });
  using proxy = await startProxy(() => worker.url);
  let handsOver = false;
  let bytes = 0;
  proxy.onRequest = (chunk) => {
    handsOver ||= chunk.includes("/files");
  };
  proxy.onAnswer = (chunk) => {
    if (!handsOver) return;
    bytes += chunk.length;
    if (bytes < 2_000_000) return;
    proxy.onAnswer = () => {};
    proxy.cut();
  };
  await using run = await startRun(
    `import { run, stage } from "bettertest";
     stage("s", { t: () => run("any", "head -c 30000000 /dev/zero > big", { artifacts: "big" }) });`,
    { workers: [proxy.url], workerLeaseMs: 1_000 },
  );
  await eventually(() => run.attempts().some(({ end }) => end?.status === "errored"));
  const [lost] = run.attempts();
  assert.match(JSON.stringify(lost?.end), /worker \S+ was lost/);
  assert.equal(lost?.files, undefined);
  proxy.restore();
  assert.deepEqual(attemptsOf(await run.ended), ["t passed: errored, passed"]);
  assert.deepEqual(run.attempts()[1]?.files?.[1]?.artifacts, { files: 1, bytes: 30_000_000 });
});

test("a named worker is killed and comes back: its task is tried again there", async () => {
  await using first = await startWorkerProcess({ executor: "process" });
  await using second = await startWorkerProcess({ executor: "process" });
  let target = first.url;
  using proxy = await startProxy(() => target);
  await using run = await startRun(hangsOnce(`"${proxy.url}", `), { workers: [] });
  await run.firstStart();
  proxy.cut();
  await first.kill();
  target = second.url;
  proxy.restore();
  assert.deepEqual(attemptsOf(await run.ended), ["t passed: errored, passed"]);
  assert.equal(run.starts(), 2);
});

test("a worker that stays away is waited for ten times as long as the lease, then its task is errored", async () => {
  await using worker = await startWorkerProcess({ executor: "process" });
  await using run = await startRun(hangsOnce(), { workers: [worker.url], workerLeaseMs: 500 });
  await run.firstStart();
  const killed = Date.now();
  await worker.kill();
  const ended = await run.ended;
  assert.ok(Date.now() - killed >= 4_000);
  assert.equal(ended.status, "errored");
  assert.match(attemptsOf(ended)[0]!, /^t errored: errored(, errored){0,2}$/);
});

test("with --infra-retries 0 there is one attempt", async () => {
  await using first = await startWorkerProcess({ executor: "process" });
  await using second = await startWorkerProcess({ executor: "process" });
  await using run = await startRun(hangsOnce(), {
    workers: [first.url, second.url],
    workerLeaseMs: 1_000,
    infraRetries: 0,
  });
  await run.firstStart();
  await first.kill();
  assert.deepEqual(attemptsOf(await run.ended), ["t errored: errored"]);
});

test("cancelled while it waits for its worker", async () => {
  await using worker = await startWorkerProcess({ executor: "process" });
  await using run = await startRun(hangsOnce(), { workers: [worker.url] });
  await run.firstStart();
  await worker.kill();
  run.engine.cancel(run.id, "test");
  assert.equal((await run.ended).status, "cancelled");
});

test("what no other worker could do better is not tried again", async () => {
  await using run = await startRun(`
    import { run, stage } from "bettertest";
    stage("s", {
      red: () => run("any", "exit 1"),
      refused: () => run("any", "true", { network: false }),
      thrown: () => { throw new Error("no"); },
    });`);
  assert.deepEqual(attemptsOf(await run.ended), [
    "red failed: failed",
    "refused errored: errored",
    "thrown failed: failed",
  ]);
});

test("a client that is killed: its sandbox is ended when the lease is over", async () => {
  await using worker = await startTestWorker({ executor: "process" });
  using repo = tempRepo({
    ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
      stage("s", { t: () => run("any", "sleep 600") });`,
  });
  const client = startCli(["run", "--worker", worker.url, "--json", "--worker-lease", "2s"], {
    cwd: repo.folder,
  });
  await client.prints(/"call-started"/);
  client.child.kill("SIGKILL");
  await client.ended;
  const gone = Date.now();
  await eventually(() => worker.worker.info().running === 0);
  assert.ok(Date.now() - gone >= 1_000);
});
