// Sandboxes that are there before they are asked for: nobody can tell one from another, but by the time it takes.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import {
  containersOf,
  eventually,
  execute,
  image,
  infoThat,
  startTestWorker,
  startWorkerProcess,
} from "../rig/worker.js";

const pooled = { executor: "docker", slots: 2, poolMax: 2, poolIdleMs: 600_000 } as const;

function readyIs(client: WorkerClient, count: number): Promise<void> {
  return infoThat(client, ({ ready }) => ready === count);
}

test("what is expected is made ahead, used once, and made again while commands come", async () => {
  await using worker = await startTestWorker(pooled);
  await worker.client.expect([{ image, count: 2 }]);
  await readyIs(worker.client, 2);
  const ahead = containersOf(process.pid);
  assert.equal(ahead.length, 2);
  const commands = Array.from({ length: 4 }, () => worker.execute("echo > /used; ls /used"));
  const used = (await Promise.all(commands)).map(({ sandbox }) => sandbox!);
  assert.equal(new Set(used).size, 4);
  for (const id of ahead) assert.ok(used.includes(id), "one made ahead was not used");
  await readyIs(worker.client, 2);
  await eventually(() => containersOf(process.pid).length === 2);
  for (const id of containersOf(process.pid)) assert.ok(!used.includes(id));
});

test("what nothing asks for any more goes", async () => {
  await using worker = await startTestWorker({ ...pooled, poolIdleMs: 3_000 });
  await worker.execute("true");
  await readyIs(worker.client, 1);
  await readyIs(worker.client, 0);
  await eventually(() => containersOf(process.pid).length === 0);
});

test("with no pool, or none to be kept, nothing is made that was not asked for", async () => {
  for (const options of [{ poolMax: 0 }, { poolIdleMs: 0 }]) {
    await using worker = await startTestWorker({ ...pooled, ...options });
    await worker.execute("true");
    await worker.execute("true");
    await eventually(() => containersOf(process.pid).length === 0);
    assert.equal(worker.worker.info().ready, 0);
  }
});

test("a rebuilt image is used by the very next command", async () => {
  const name = `bettertest-test-pool-${randomBytes(4).toString("hex")}`;
  const build = (version: number) => {
    const input = `FROM ${image}\nENV VERSION=${version}`;
    assert.equal(spawnSync("docker", ["build", "-q", "-t", name, "-"], { input }).status, 0);
  };
  await using worker = await startTestWorker(pooled);
  try {
    for (const version of [1, 2, 3]) {
      build(version);
      const { output } = await worker.execute("echo $VERSION", { image: name });
      assert.equal(output.toString(), `${version}\n`);
      await infoThat(worker.client, ({ ready }) => ready >= 1);
    }
  } finally {
    await worker.worker.stop();
    spawnSync("docker", ["rmi", "-f", name]);
  }
});

test("one that is removed by hand while it waits is replaced", async () => {
  await using worker = await startTestWorker(pooled);
  await worker.client.expect([{ image, count: 1 }]);
  await readyIs(worker.client, 1);
  const [first] = containersOf(process.pid);
  execFileSync("docker", ["rm", "-f", first!], { stdio: "ignore" });
  await eventually(() => {
    const now = containersOf(process.pid);
    return now.length === 1 && now[0] !== first;
  });
  await readyIs(worker.client, 1);
  assert.deepEqual((await worker.execute("exit 3")).outcome, { kind: "exited", exitCode: 3 });
});

test("secrets are told to the waiting shell: neither the engine nor a process list has them", async () => {
  await using worker = await startTestWorker(pooled);
  const command = "echo $TOKEN | tr a-z A-Z; cat /proc/*/cmdline | tr '\\0' ' '; sleep 1";
  const running = worker.execute(command, { secrets: { TOKEN: "hidden-value" } });
  await eventually(() => containersOf(process.pid).length > 0);
  for (const id of containersOf(process.pid)) {
    assert.doesNotMatch(execFileSync("docker", ["inspect", id]).toString(), /hidden-value/);
  }
  const { output } = await running;
  assert.match(output.toString(), /^HIDDEN-VALUE\n/);
  assert.doesNotMatch(output.toString(), /hidden-value/);
});

test("names that a shell cannot export, and those that would change it, come as the engine gives them", async () => {
  await using worker = await startTestWorker(pooled);
  const env = { PATH: "/bin:/usr/bin:/odd", IFS: "x", UID: "77", _: "under", "A.B": "dot", N: "1" };
  const { output } = await worker.execute("env | sort", { env });
  const args = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const expected = execFileSync("docker", [
    ...["run", "--rm", "--init", ...args, image, "sh", "-c", "env | sort"],
  ]);
  const lines = (text: string) => text.split("\n").filter((line) => !line.startsWith("HOSTNAME="));
  assert.deepEqual(lines(output.toString()), lines(expected.toString()));
});

test("a command that makes its output non-blocking and fills it ends as it should", async () => {
  await using worker = await startTestWorker(pooled);
  const flood = "head -c 20000000 /dev/zero | dd oflag=nonblock bs=65536 2>/dev/null; exit 9";
  const { outcome, output } = await worker.execute(flood);
  assert.deepEqual(outcome, { kind: "exited", exitCode: 9 });
  assert.ok(
    output.every((byte) => byte === 0),
    "the mark is not output",
  );
});

test("a worker killed at random times leaves nothing, ready or used", async () => {
  const rounds = Number(process.env.BETTERTEST_POOL_ROUNDS ?? 2);
  const each = Number(process.env.BETTERTEST_POOL_TASKS ?? 12);
  for (let round = 0; round < rounds; round++) {
    await using worker = await startWorkerProcess({ executor: "docker", slots: 4 });
    const client = createWorkerClient(worker.url);
    const commands = Array.from({ length: each }, (_, i) =>
      execute(client, { image, command: `sleep 0.${i % 4}; exit ${i % 3}` }),
    );
    const enough = Math.floor(Math.random() * each);
    await Promise.race([commands[enough], commands.at(-1)]);
    await worker.kill();
    for (const [i, { outcome }] of (await Promise.all(commands)).entries()) {
      if (outcome.kind === "exited") assert.equal(outcome.exitCode, i % 3);
      else assert.equal(outcome.kind, "faulted");
    }
    client.close();
    await eventually(() => containersOf(worker.pid).length === 0, 60_000);
  }
});
