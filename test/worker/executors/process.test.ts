import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createWorkerClient } from "../../../src/wire/worker-client.js";
import { createProcessExecutor } from "../../../src/worker/executors/process.js";
import { executorContract } from "../../contracts/executor.js";
import {
  eventually,
  execute,
  image,
  startCommand,
  startTestWorker,
  startWorkerProcess,
} from "../../rig/worker.js";

const folder = await mkdtemp(join(tmpdir(), "bettertest-test-"));
after(() => rm(folder, { recursive: true, force: true }));

executorContract("process", {
  create: () => createProcessExecutor({ folder, log: () => {} }),
  tracesOf: async (sandbox) =>
    (await readdir(folder)).filter((name) => name === `sandbox-${sandbox.split("-")[1]}`),
});

test("stdout and stderr keep their order, since they are one pipe", async () => {
  await using worker = await startTestWorker({ executor: "process" });
  const { output } = await worker.execute(
    "i=0; while [ $i -lt 200 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done",
  );
  const expected = Array.from({ length: 200 }, (_, i) => `o${i}\ne${i}\n`).join("");
  assert.equal(output.toString(), expected);
});

async function openSandbox(command: string) {
  const own = await mkdtemp(join(folder, "own-"));
  const executor = await createProcessExecutor({ folder: own, log: () => {} });
  const io = { signal: new AbortController().signal, progress: () => {} };
  const sandbox = await executor.open({ image, command }, io);
  return {
    sandbox,
    async [Symbol.asyncDispose]() {
      await sandbox.dispose();
      await executor.close();
    },
  };
}

test("a command has ended though its output is still to be taken", async () => {
  await using opened = await openSandbox("trap '' TERM; echo end");
  const { sandbox } = opened;
  await sandbox.run(() => eventually(() => !sandbox.kill("SIGTERM")));
});

test("output that nobody takes for long after the end is not lost", async () => {
  const go = join(folder, "taken-go");
  // While the first byte is taken the rest comes, which a pipe can hold, and the command ends.
  await using opened = await openSandbox(
    `trap '' TERM; printf x; until [ -e ${go} ]; do sleep 0.02; done; head -c 60000 /dev/zero`,
  );
  const { sandbox } = opened;
  let taken = 0;
  await sandbox.run(async (chunk) => {
    writeFileSync(go, "");
    await eventually(() => !sandbox.kill("SIGTERM"));
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    taken += chunk.length;
  });
  assert.equal(taken, 60_001);
});

test("a command that cannot be started leaves no file open", async () => {
  await using opened = await openSandbox(`: ${"x".repeat(200_000)}`);
  const pipes = () =>
    readdirSync("/proc/self/fd").filter((fd) => /\/pipe-\d+ \(deleted\)$/.test(linkOf(fd)));
  await assert.rejects(
    opened.sandbox.run(() => undefined),
    /could not run the command: spawn E2BIG/,
  );
  await eventually(() => pipes().length === 0);
});

test("what a command has left in a group of its own is not waited for, though it writes on", async () => {
  await using worker = await startTestWorker({ executor: "process" });
  const { outcome, output } = await worker.execute(
    "setsid sh -c '>begun; while echo stray; do sleep 0.1; done' & until [ -e begun ]; do sleep 0.02; done; echo early; exit 4",
  );
  assert.deepEqual(outcome, { kind: "exited", exitCode: 4 });
  assert.match(output.toString(), /early\n/);
});

test("nor is it where it writes more than anybody takes", async () => {
  await using opened = await openSandbox(
    "setsid sh -c '>begun; exec yes' & until [ -e begun ]; do sleep 0.02; done; exit 4",
  );
  const exit = await opened.sandbox.run(() => new Promise((taken) => setImmediate(taken)));
  assert.equal(exit.exitCode, 4);
});

test("what would change a command's meaning is refused by name", async () => {
  await using worker = await startTestWorker({ executor: "process" });
  const offline = await worker.execute("true", { network: false });
  assert.deepEqual(offline.outcome, {
    kind: "faulted",
    message: "the process executor cannot take the network away from a command",
    hint: "Use a worker with --executor docker for this command",
  });
  const other = await worker.execute("true", { user: "somebody-else" });
  assert.equal(other.outcome.kind, "faulted");
  const self = await worker.execute("true", {
    user: userInfo().username,
    cpus: 1,
    memoryBytes: 1e9,
  });
  assert.deepEqual(self.outcome, { kind: "exited", exitCode: 0 });
  const lost = await worker.execute("true", { workdir: "/no/such/folder" });
  assert.match(JSON.stringify(lost.outcome), /workdir \/no\/such\/folder is not a folder/);
});

test("a worker killed without a word takes its commands along, and the next one its folder", async () => {
  await using dying = await startWorkerProcess({ executor: "process", dataDir: folder });
  const client = createWorkerClient(dying.url);
  const { printed, ended } = await startCommand(client, "sleep 1001 & echo $$; sleep 1002; true");
  const group = Number(printed);
  assert.deepEqual(processesOf(group).length, 3);
  await dying.kill();
  await eventually(() => processesOf(group).length === 0);
  const outcome = await ended;
  assert.equal(outcome.kind, "faulted");
  assert.match(JSON.stringify(outcome), /was lost: /);
  client.close();

  const foldersOfDead = () => readdirSync(folder).filter((name) => name.includes(`_${dying.pid}_`));
  assert.equal(foldersOfDead().length, 1);
  await using next = await startTestWorker({ executor: "process", dataDir: folder });
  assert.deepEqual(foldersOfDead(), []);
  const { outcome: after } = await execute(next.client, { image, command: "true" });
  assert.deepEqual(after, { kind: "exited", exitCode: 0 });
});

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}

/** The members of a process group that are alive. */
function processesOf(group: number): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const fields = statOf(pid);
    return fields[2] === String(group) && fields[0] !== "Z";
  });
}

function statOf(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}
