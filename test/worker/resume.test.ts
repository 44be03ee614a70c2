// A connection that is lost in the middle of a command, and comes back, or does not.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createWorkerClient } from "../../src/wire/worker-client.js";
import { type NetworkProxy, startProxy } from "../rig/proxy.js";
import { eventually, execute, image, startTestWorker, startWorkerProcess } from "../rig/worker.js";

const lineCount = 60_000;
const lines = `i=0; while [ $i -lt ${lineCount} ]; do i=$((i+1)); echo "line $i of many"; done`;
const allLines = Array.from({ length: lineCount }, (_, i) => `line ${i + 1} of many\n`).join("");

/** A folder with a ledger in which commands say that they were started. */
function tempLedger() {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-ledger-"));
  const path = join(folder, "ledger");
  return {
    note: `echo started $$ >> ${path}`,
    starts: () => (existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : []),
    /** A command waits for it with `waits`. */
    gate: join(folder, "gate"),
    waits: `while [ ! -e ${join(folder, "gate")} ]; do sleep 0.05; done`,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function setUp(leaseMs: number) {
  const worker = await startTestWorker({ executor: "process" });
  const proxy = await startProxy(() => worker.url);
  const client = createWorkerClient(proxy.url, {
    leaseMs,
    firstRetryMs: 10,
    longestRetryMs: 200,
  });
  return {
    worker: worker.worker,
    proxy,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      proxy[Symbol.dispose]();
      await worker[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when the text has come by, on its way from the worker. */
function seen(proxy: NetworkProxy, text: string): Promise<void> {
  return new Promise((resolve) => {
    proxy.onAnswer = (chunk) => {
      if (chunk.includes(text)) resolve();
    };
  });
}

test("cut off again and again in the middle of its output: every byte once, one start", async () => {
  await using rig = await setUp(60_000);
  using ledger = tempLedger();
  let bytes = 0;
  let drops = 0;
  rig.proxy.onAnswer = (chunk) => {
    bytes += chunk.length;
    if (bytes < 64 * 1024 || drops >= 15) return;
    bytes = 0;
    drops += 1;
    rig.proxy.drop();
  };
  const command = `${ledger.note}; ${lines}; exit 7`;
  const { outcome, output } = await execute(rig.client, { image, command });
  assert.deepEqual(outcome, { kind: "exited", exitCode: 7 });
  assert.equal(output.toString(), allLines);
  assert.equal(drops, 15);
  assert.equal(ledger.starts().length, 1);
});

test("a slow taker of output that is cut off meanwhile gets every byte once", async () => {
  await using rig = await setUp(60_000);
  const chunks: Uint8Array[] = [];
  const io = {
    started: () => {},
    async output(bytes: Uint8Array) {
      if (chunks.length % 3 === 0) rig.proxy.drop();
      await new Promise((resolve) => setTimeout(resolve, 20));
      chunks.push(bytes);
    },
  };
  const signal = new AbortController().signal;
  const outcome = await rig.client.execute({ image, command: lines }, io, signal);
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.equal(Buffer.concat(chunks).toString(), allLines);
});

test("a network that stands still is noticed, and the command goes on when it is back", async () => {
  await using rig = await setUp(8_000);
  using ledger = tempLedger();
  const command = `${ledger.note}; echo before; ${ledger.waits}; ${lines}`;
  const before = seen(rig.proxy, "before");
  const ended = execute(rig.client, { image, command });
  await before;
  rig.proxy.stall();
  const { taken } = rig.proxy;
  await eventually(() => rig.proxy.taken > taken);
  rig.proxy.drop();
  rig.proxy.restore();
  writeFileSync(ledger.gate, "");
  const { outcome, output } = await ended;
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.equal(output.toString(), `before\n${allLines}`);
  assert.equal(ledger.starts().length, 1);
});

test("a command that ends while its client is away: outcome and output are kept", async () => {
  await using rig = await setUp(60_000);
  using ledger = tempLedger();
  const before = seen(rig.proxy, "before");
  const ended = execute(rig.client, {
    image,
    command: `echo before; ${ledger.waits}; echo after; exit 3`,
  });
  await before;
  rig.proxy.cut();
  writeFileSync(ledger.gate, "");
  await eventually(() => rig.worker.info().running === 0);
  rig.proxy.restore();
  const { outcome, output } = await ended;
  assert.deepEqual(outcome, { kind: "exited", exitCode: 3 });
  assert.equal(output.toString(), "before\nafter\n");
});

test("away for longer than the lease: lost, and the sandbox is ended", async () => {
  await using rig = await setUp(2_000);
  const before = seen(rig.proxy, "before");
  const ended = execute(rig.client, { image, command: "echo before; sleep 600" });
  await before;
  rig.proxy.cut();
  const { outcome } = await ended;
  assert.match(JSON.stringify(outcome), /faulted.*worker \S+ was lost: .*"workerLost":true/);
  await eventually(() => rig.worker.info().running === 0);
});

test("aborted while it cannot be reached: cancelled at once, ended with the lease", async () => {
  await using rig = await setUp(2_000);
  const before = seen(rig.proxy, "before");
  const stop = new AbortController();
  const ended = execute(rig.client, { image, command: "echo before; sleep 600" }, stop.signal);
  await before;
  rig.proxy.cut();
  stop.abort();
  assert.deepEqual((await ended).outcome, { kind: "cancelled" });
  await eventually(() => rig.worker.info().running === 0);
});

test("the answer to the first request is lost: the command runs on, and is not started again", async () => {
  await using rig = await setUp(60_000);
  using ledger = tempLedger();
  let drops = 0;
  rig.proxy.onAnswer = () => {
    if (drops++ === 0) rig.proxy.drop();
  };
  const { outcome } = await execute(rig.client, { image, command: ledger.note });
  assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  assert.equal(ledger.starts().length, 1);
});

test("an old connection closed under a first request, without a lease too: started once", async () => {
  await using rig = await setUp(0);
  using ledger = tempLedger();
  for (let i = 0; i < 10; i++) {
    await rig.client.info();
    // The client may hear of it before, or after it has used the connection again.
    rig.proxy.drop();
    const { outcome } = await execute(rig.client, { image, command: ledger.note });
    assert.deepEqual(outcome, { kind: "exited", exitCode: 0 });
  }
  assert.equal(ledger.starts().length, 10);
});

for (const [when, options] of [
  ["while the command runs", { text: "before", first: false }],
  ["before it has answered the first request", { text: "HTTP/1.1 200", first: true }],
] as const) {
  test(`a worker killed and started again ${when}: lost at once, not run a second time`, async () => {
    const first = await startWorkerProcess({ executor: "process" });
    await using second = await startWorkerProcess({ executor: "process" });
    let target = first.url;
    using proxy = await startProxy(() => target);
    using ledger = tempLedger();
    const client = createWorkerClient(proxy.url, { leaseMs: 600_000 });
    await client.info();
    const killed = new Promise<void>((resolve) => {
      proxy.onAnswer = (chunk) => {
        if (!chunk.includes(options.text)) return;
        target = second.url;
        proxy.drop();
        resolve(first.kill());
      };
    });
    const { outcome } = await execute(client, {
      image,
      command: `${ledger.note}; echo before; sleep 600`,
    });
    await killed;
    assert.match(
      JSON.stringify(outcome),
      /faulted.*was lost: it does not know the command any more.*"workerLost":true/,
    );
    assert.ok(ledger.starts().length <= 1);
    if (!options.first) assert.equal(ledger.starts().length, 1);
    client.close();
  });
}
