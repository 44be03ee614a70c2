// Sandboxes of red commands, kept on a real engine: what is in them, who can enter, and what ends them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { suite, test } from "node:test";
import type { TerminalOutput, TerminalRequest } from "../../src/wire/kept.js";
import { KeptRefusal } from "../../src/wire/kept-client.js";
import type { CommandRequest, KeptNote, Outcome } from "../../src/wire/worker.js";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import { noDocker } from "../rig/docker.js";
import {
  containersOf,
  eventually,
  image,
  infoThat,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

interface Ended {
  readonly outcome: Outcome;
  readonly kept: KeptNote | null;
  readonly execution: string;
  readonly sandbox: string;
}

async function execute(client: WorkerClient, request: Partial<CommandRequest>): Promise<Ended> {
  const execution = randomUUID();
  let kept: KeptNote | null = null;
  let sandbox = "";
  const outcome = await client.execute(
    { image, command: "exit 3", keepFailedMs: 600_000, ...request },
    {
      output: () => undefined,
      started: (id) => {
        sandbox = id;
      },
      settled: (_, left) => {
        kept = left.kept;
      },
    },
    new AbortController().signal,
    execution,
  );
  return { outcome, kept, execution, sandbox };
}

interface Typed {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: Extract<TerminalOutput, { kind: "end" }>["end"] | null;
}

/** Types all of it at once, as a pipe would, and waits for the end. */
async function enter(
  client: WorkerClient,
  execution: string,
  input: string,
  request: TerminalRequest = {},
): Promise<Typed> {
  const terminal = await client.kept.openTerminal(execution, request);
  const output = await client.kept.output(execution, terminal, new AbortController().signal);
  await client.kept.type(execution, terminal, {
    bytes: Buffer.from(input),
    offset: 0,
    isLast: request.size === undefined,
  });
  let end: Typed["end"] = null;
  const text = { stdout: "", stderr: "" };
  for await (const one of output) {
    if (one.kind === "end") end = one.end;
    else text[one.kind] += Buffer.from(one.bytes).toString();
  }
  return { ...text, end };
}

function states(ids: readonly string[]): string[] {
  const { stdout } = spawnSync("docker", ["inspect", "-f", "{{.State.Status}}", ...ids], {
    encoding: "utf8",
  });
  return stdout.trim().split("\n").filter(Boolean);
}

suite("kept sandboxes", { skip: noDocker() }, () => {
  test("of what is red, with its environment, folder and user", async () => {
    await using worker = await startTestWorker({ executor: "docker", slots: 1, poolMax: 0 });
    const { client } = worker;
    const red = await execute(client, {
      command: "echo red; exit 3",
      env: { COLOR: "green" },
      secrets: { TOKEN: "hidden'1" },
      workdir: "/tmp",
      user: "1000",
    });
    assert.deepEqual(red.outcome, { kind: "exited", exitCode: 3 });
    assert.ok(red.kept && "id" in red.kept && (red.kept.until ?? 0) > Date.now());
    const script = 'pwd; id -u; echo "$COLOR $TOKEN"; echo "$BETTERTEST_COMMAND" >&2; exit 7';
    const typed = await enter(client, red.execution, script);
    assert.equal(typed.stdout, "/tmp\n1000\ngreen hidden'1\n");
    assert.equal(typed.stderr, "echo red; exit 3\n");
    assert.deepEqual(typed.end, { exitCode: 7 });

    const green = await execute(client, { command: "exit 0" });
    assert.equal(green.kept, null);
    const unasked = await execute(client, { command: "exit 1", keepFailedMs: 0 });
    assert.equal(unasked.kept, null);
    await eventually(() => containersOf(process.pid).length === 1);

    await client.kept.release(red.execution);
    assert.deepEqual(containersOf(process.pid), []);
    await assert.rejects(client.kept.get(red.execution), (error: unknown) => {
      assert.ok(error instanceof KeptRefusal);
      assert.equal(error.status, 404);
      assert.match(error.message, /not kept any more: it was released/);
      return true;
    });
  });

  test("also where its results and artifacts were read, which has ended all that ran in it", async () => {
    await using worker = await startTestWorker({ executor: "docker" });
    const { client } = worker;
    const red = await execute(client, {
      command: "sleep 1000 & echo '<testsuite/>' > r.xml; echo log > out.log; exit 3",
      workdir: "/tmp",
      results: ["r.xml"],
      artifacts: ["*.log"],
    });
    assert.deepEqual(red.outcome, { kind: "exited", exitCode: 3 });
    assert.ok(red.kept && "id" in red.kept, JSON.stringify(red.kept));
    const typed = await enter(client, red.execution, "cat r.xml out.log; ps -e | grep -c sleep");
    assert.equal(typed.stdout, "<testsuite/>\nlog\n0\n");
  });

  test("also after a timeout, and when memory ran out", async () => {
    await using worker = await startTestWorker({ executor: "docker", graceMs: 300 });
    const { client } = worker;
    const late = await execute(client, {
      command: "trap '' TERM; echo late >/tmp/late; while :; do sleep 1; done",
      timeoutMs: 1_000,
    });
    assert.equal(late.outcome.kind, "timed-out");
    assert.equal((await enter(client, late.execution, "cat /tmp/late")).stdout, "late\n");
    const hungry = await execute(client, {
      command:
        "echo hungry >/tmp/hungry; exec awk 'BEGIN { while (1) a = a \"0123456789abcdef\" a }'",
      memoryBytes: 32 * 2 ** 20,
    });
    assert.equal(hungry.outcome.kind, "out-of-memory");
    assert.equal((await enter(client, hungry.execution, "cat /tmp/hungry")).stdout, "hungry\n");
  });

  test("rests without a slot or a process, remembers what is changed, and goes by itself", async () => {
    await using worker = await startTestWorker({ executor: "docker", slots: 1, poolMax: 0 });
    const { client } = worker;
    const red = await execute(client, { command: "sleep 1000 & exit 1" });
    assert.equal((await execute(client, { command: "exit 0" })).outcome.kind, "exited");
    await eventually(() => states(containersOf(process.pid)).join() === "exited");
    await enter(client, red.execution, "touch /tmp/was-here");
    const second = await enter(client, red.execution, "ls /tmp/was-here; ps -e | grep -c sleep");
    assert.equal(second.stdout, "/tmp/was-here\n0\n");
    const short = await execute(client, { keepFailedMs: 1_000 });
    await infoThat(client, ({ kept }) => kept.length === 1);
    await eventually(() => containersOf(process.pid).length === 1);
    await assert.rejects(client.kept.get(short.execution), /its 1\.0 s were over/);
  });

  test("no more than so many: the oldest goes, and its terminal is told why", async () => {
    await using worker = await startTestWorker({ executor: "docker", maxKept: 2, poolMax: 0 });
    const { client } = worker;
    const first = await execute(client, {});
    await execute(client, {});
    const terminal = await client.kept.openTerminal(first.execution, {});
    const output = await client.kept.output(
      first.execution,
      terminal,
      new AbortController().signal,
    );
    // The first one is entered, so the second goes; then both are, and the oldest goes.
    const third = await execute(client, {});
    assert.equal((await client.kept.get(first.execution)).until, null);
    const another = await client.kept.openTerminal(third.execution, {});
    void client.kept.output(third.execution, another, new AbortController().signal);
    await execute(client, {});
    const ends: unknown[] = [];
    for await (const one of output) if (one.kind === "end") ends.push(one.end);
    assert.deepEqual(ends, [
      {
        problem:
          "the sandbox is not kept any more: newer ones needed its place: no more than 2 are kept (--max-kept)",
      },
    ]);
    await eventually(() => containersOf(process.pid).length === 2);
  });

  test("a terminal: its size, its end when nobody reads it, and keys that are typed once", async () => {
    await using worker = await startTestWorker({ executor: "docker", poolMax: 0 });
    const { client } = worker;
    const red = await execute(client, {});
    const request = { size: { columns: 91, rows: 33 }, term: "xterm-256color" };
    const typed = await enter(
      client,
      red.execution,
      "stty size; echo $TERM; test -t 0 && test -t 2 && exit 5\n",
      request,
    );
    assert.match(typed.stdout, /33 91\r\nxterm-256color\r\n/);
    assert.deepEqual(typed.end, { exitCode: 5 });

    const terminal = await client.kept.openTerminal(red.execution, request);
    const left = new AbortController();
    const output = await client.kept.output(red.execution, terminal, left.signal);
    const type = (text: string, offset: number) =>
      client.kept.type(red.execution, terminal, {
        bytes: Buffer.from(text),
        offset,
        isLast: false,
      });
    await type("echo o", 0);
    await type("echo one; ", 0);
    await assert.rejects(type("x", 100), /missing/);
    await client.kept.resize(red.execution, terminal, { columns: 50, rows: 20 });
    await type("stty size; sleep 1000\n", 10);
    let seen = "";
    for await (const one of output) {
      if (one.kind !== "end") seen += Buffer.from(one.bytes).toString();
      if (/one\r\n20 50\r\n/.test(seen)) break;
    }
    left.abort();
    await eventually(async () => (await client.kept.get(red.execution)).terminals === 0);
    await eventually(() => states(containersOf(process.pid)).join() === "exited");
  });

  test("nobody's flood is kept in memory, and Ctrl-C ends it", async () => {
    await using worker = await startTestWorker({ executor: "docker", poolMax: 0 });
    const { client } = worker;
    const red = await execute(client, {});
    const terminal = await client.kept.openTerminal(red.execution, {
      size: { columns: 80, rows: 24 },
    });
    const output = await client.kept.output(red.execution, terminal, new AbortController().signal);
    const type = (text: string, offset: number) =>
      client.kept.type(red.execution, terminal, {
        bytes: Buffer.from(text),
        offset,
        isLast: false,
      });
    await type("yes\n", 0);
    const before = process.memoryUsage.rss();
    let bytes = 0;
    let tail = "";
    let end: unknown;
    for await (const one of output) {
      if (one.kind === "end") {
        end = one.end;
        continue;
      }
      if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 2_000));
      const wasShort = bytes < 8 * 2 ** 20;
      bytes += one.bytes.length;
      tail = (tail + Buffer.from(one.bytes).toString()).slice(-200);
      if (wasShort && bytes >= 8 * 2 ** 20) {
        await type("\u0003", 4);
        await type("exit 4\n", 5);
      }
    }
    assert.ok(process.memoryUsage.rss() - before < 150 * 2 ** 20);
    assert.deepEqual(end, { exitCode: 4 }, tail);
  });

  test("nothing is left of a worker that was killed", async () => {
    await using worker = await startWorkerProcess({ executor: "docker", poolMax: 0 });
    const client = createWorkerClient(worker.url);
    const red = await execute(client, {});
    await enter(client, red.execution, "touch /tmp/x");
    assert.equal(containersOf(worker.pid).length, 1);
    client.close();
    await worker.kill();
    await eventually(() => containersOf(worker.pid).length === 0);
  });

  test("a worker that is stopped takes them along", async () => {
    const worker = await startTestWorker({ executor: "docker", poolMax: 0 });
    await execute(worker.client, {});
    assert.equal(containersOf(process.pid).length, 1);
    await worker[Symbol.asyncDispose]();
    assert.deepEqual(containersOf(process.pid), []);
  });
});

test("plain processes are not kept, and the reason is told", async () => {
  await using worker = await startTestWorker({ executor: "process" });
  const { kept, outcome } = await execute(worker.client, {});
  assert.deepEqual(outcome, { kind: "exited", exitCode: 3 });
  assert.deepEqual(kept, { problem: "the process executor keeps no sandboxes" });
});
