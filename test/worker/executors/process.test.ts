import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
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
