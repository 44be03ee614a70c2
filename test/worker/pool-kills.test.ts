// Workers killed, containers killed and removed by hand, commands cancelled, at random, while commands with and without
// a source come from the pool: whatever ends does so with its own exit code, and nothing is left.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createStatCache } from "../../src/source/stat-cache.js";
import type { Outcome } from "../../src/wire/worker.js";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import { unmountAll } from "../../src/worker/sources/overlay.js";
import { bring, key } from "../rig/source-worker.js";
import {
  containersOf,
  eventually,
  execute,
  image,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

const tasks = Number(process.env.BETTERTEST_POOL_KILLS ?? 30);
/** Of one worker, until it is killed. */
const perLife = Math.min(tasks / 2, 100);
const lanes = 6;
const docker = promisify(execFile);

test(`${tasks} commands, and kills at random: nothing is left`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-pool-kills-"));
  const code = mkdtempSync(join(tmpdir(), "bettertest-pool-code-"));
  writeFileSync(join(code, "code.txt"), "code\n");
  const options = {
    executor: "docker",
    slots: 4,
    dataDir: join(folder, "data"),
    sourcesDir: join(folder, "sources"),
  } as const;
  const ends = new Map<string, number>();
  const workers = [process.pid];
  try {
    for (let done = 0; done < tasks; ) {
      await using worker = await startWorkerProcess(options);
      workers.push(worker.pid);
      const client = createWorkerClient(worker.url);
      const { hash: tree } = await bring(code, createStatCache(), client);
      const many = Math.min(perLife, tasks - done);
      const killAt = many * (0.5 + Math.random() / 2);
      await using disturbing = disturb(worker.pid);
      let begun = 0;
      let killed: Promise<void> | null = null;
      const lane = async () => {
        while (begun < many) {
          const n = begun++;
          if (n >= killAt) killed ??= worker.kill();
          count(ends, await one(client, n, tree));
        }
      };
      await Promise.all(Array.from({ length: lanes }, lane));
      await disturbing[Symbol.asyncDispose]();
      await (killed ?? worker.kill());
      client.close();
      await eventually(() => containersOf(worker.pid).length === 0, 60_000);
      done += many;
    }
    // The next one clears away what no dead worker could.
    {
      await using next = await startTestWorker(options);
      const { hash: tree } = await bring(code, createStatCache(), next.client);
      const source = { tree, key };
      assert.deepEqual(
        (await next.execute("cat code.txt", { source })).output.toString(),
        "code\n",
      );
    }
    assert.ok((ends.get("exited") ?? 0) > 0, JSON.stringify([...ends]));
    assert.equal(containersOf(process.pid).length, 0);
    assert.ok(!readFileSync("/proc/self/mountinfo", "utf8").includes(folder), "a mount is left");
    assert.deepEqual(readdirSync(join(folder, "data")), []);
    for (const name of ["mounts", "private", "incoming"])
      assert.deepEqual(readdirSync(join(folder, "sources", name)), [], name);
    const networks = execFileSync("docker", [
      "network",
      "ls",
      "--format",
      "{{.Labels}}",
    ]).toString();
    assert.doesNotMatch(networks, new RegExp(`bettertest.owner=[^,]*_(${workers.join("|")})_`));
    if (tasks > 100) console.log(`# ${JSON.stringify(Object.fromEntries(ends))}`);
  } finally {
    await unmountAll(folder);
    for (const path of [folder, code]) rmSync(path, { recursive: true, force: true });
  }
});

/** A command with an end of its own; some are cancelled at a random time. */
async function one(client: WorkerClient, n: number, tree: string): Promise<Outcome> {
  const code = n % 4;
  const source = n % 2 === 0 ? { source: { tree, key } } : {};
  const stop = new AbortController();
  const cancel = n % 7 === 0 ? setTimeout(() => stop.abort(), Math.random() * 800) : undefined;
  const command = `sleep 0.${n % 3}; exit ${code}`;
  const { outcome } = await execute(client, { image, command, ...source }, stop.signal);
  clearTimeout(cancel);
  if (outcome.kind === "exited") assert.equal(outcome.exitCode, code);
  else if (outcome.kind === "faulted") assert.ok(outcome.workerLost, JSON.stringify(outcome));
  else assert.equal(outcome.kind, "cancelled");
  return outcome;
}

/** Kills or removes containers of a worker, ready and used, until it is stopped. */
function disturb(worker: number) {
  let isOver = false;
  const ended = (async () => {
    while (!isOver) {
      const all = containersOf(worker);
      const one = all[Math.floor(Math.random() * all.length)];
      const how = Math.random() < 0.5 ? ["kill"] : ["rm", "-f"];
      // It may be gone by now.
      if (one) await docker("docker", [...how, one]).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 900));
    }
  })();
  return {
    [Symbol.asyncDispose]: () => {
      isOver = true;
      return ended;
    },
  };
}

function count(ends: Map<string, number>, { kind }: Outcome) {
  ends.set(kind, (ends.get(kind) ?? 0) + 1);
}
