import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import Database from "libsql";
import { attemptNote, findTask } from "../../src/model/run.js";
import { startWorker } from "../../src/worker/main.js";
import { startBossProcess } from "../rig/boss-process.js";
import { nextHealth } from "../rig/next-health.js";
import { type Rig, startRig, statusOf } from "../rig/rig.js";
import { mountSmallDisk, noSmallDisk, type SmallDisk } from "../rig/small-disk.js";
import { startWorkerProcess } from "../rig/worker.js";

const because = "ENOSPC: no space left on device";

/** Where a test puts the files that its commands wait for. */
function signsFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-signs-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Begins a run of the two tasks, and fills the disk when both wait for the sign. */
async function fillInTheMiddle(rig: Rig, disk: SmallDisk): Promise<number> {
  const started = rig.boss.engine.start({ trigger: "test" });
  assert.ok(started.ok);
  await began(rig, started.run);
  disk.fill();
  return started.run;
}

/** Prints, waits until it may go on, and prints more than the disk has room for; then waits for room. */
function command(signs: string, end: string): string {
  const until = (sign: string) => `until [ -e ${join(signs, sign)} ]; do sleep 0.05; done`;
  return [
    "echo begin",
    until("go-on"),
    "head -c 300000 /dev/zero | tr '\\0' x",
    until("room"),
    // A refused write is followed by no other for a second.
    "sleep 1.5",
    "echo; echo end",
    end,
  ].join("; ");
}

const pipedef = (signs: string) => `import { run, stage } from "bettertest";
stage("s", {
  good: () => run("any", ${JSON.stringify(command(signs, "exit 0"))}),
  bad: () => run("any", ${JSON.stringify(command(signs, "exit 7"))}),
});`;

/** What a task printed, without what is missing; and how much that is. */
function parse(text: string): { readonly kept: number; readonly missing: number } {
  const gap = String.raw`\n\[(\d+) bytes are missing here: they could not be stored \(${because}\)\]\n`;
  const [, kept, missing = "0"] =
    new RegExp(String.raw`^begin\n(x*)(?:${gap})?\nend\n$`).exec(text) ??
    assert.fail(text.replace(/x+/g, "xxx"));
  return { kept: kept!.length, missing: Number(missing) };
}

test("a disk that is full in the middle of a run costs output that is said, and nothing else", {
  skip: noSmallDisk,
}, async (t) => {
  using disk = mountSmallDisk(8);
  const signs = signsFolder(t);
  const data = join(disk.folder, "data");
  const said: string[] = [];
  {
    await using rig = await startRig({
      history: { kind: "durable", folder: data },
      files: { ".bettertest/pipedef.ts": pipedef(signs) },
      log: (line) => said.push(line),
    });
    const runId = await fillInTheMiddle(rig, disk);
    writeFileSync(join(signs, "go-on"), "");
    assert.match(await nextHealth(rig, false), /the disk of .* is full/);
    const refused = await rig.post("/api/runs", {});
    assert.equal(refused.status, 503);
    assert.match(String(refused.body.error), /disk/);
    disk.free();
    assert.doesNotMatch(await nextHealth(rig, true), /is full/);
    writeFileSync(join(signs, "room"), "");
    const run = await rig.boss.engine.finished(runId);
    assert.equal(run.status, "failed");
    assert.equal(statusOf(run, "s", "good"), "passed");
    assert.equal(statusOf(run, "s", "bad"), "failed");
    let missing = 0;
    for (const task of ["good", "bad"]) {
      const state = findTask(run, { stage: "s", task })!;
      const text = await rig.output(run.id, "s", task);
      const found = parse(text);
      assert.equal(found.kept + found.missing, 300_000);
      assert.deepEqual(state.attempts[0]!.output, {
        bytes: text.length,
        ...(found.missing > 0 && { missing: { bytes: found.missing, because } }),
      });
      if (found.missing > 0) assert.match(attemptNote(state)!, /bytes of its output could not be/);
      missing += found.missing;
    }
    assert.ok(missing > 0);
    assert.equal((await rig.run({ only: ["s.good"] })).status, "passed");
  }
  assert.match(said.join("\n"), /the disk of .* is full.*\n(.*\n)*there is room again/);
  const database = new Database(join(data, "history.db"));
  assert.deepEqual(database.prepare("PRAGMA integrity_check").all(), [{ integrity_check: "ok" }]);
  database.close();
});

test("events that found no room are stored when there is some", {
  skip: noSmallDisk,
}, async (t) => {
  using disk = mountSmallDisk(8);
  const signs = signsFolder(t);
  const data = join(disk.folder, "data");
  const wait = `until [ -e ${join(signs, "go-on")} ]; do sleep 0.05; done`;
  const files = {
    ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
    stage("s", { first: () => run("any", ${JSON.stringify(wait)}) });
    const many = stage("many");
    for (let n = 0; n < 100; n++) many.task("t" + n, () => run("any", "exit 0"));`,
  };
  let seen: unknown;
  {
    await using rig = await startRig({ history: { kind: "durable", folder: data }, files });
    const started = rig.boss.engine.start({ trigger: "test" });
    assert.ok(started.ok);
    disk.fill();
    writeFileSync(join(signs, "go-on"), "");
    const run = await rig.boss.engine.finished(started.run);
    assert.equal(run.status, "passed");
    assert.match(await nextHealth(rig, false), /full/);
    assert.match(String(rig.boss.engine.store.unwritable()), /full/);
    disk.free();
    await nextHealth(rig, true);
    seen = await rig.get(`/api/runs/${run.id}`);
    // The boss is gone without a word: what it said is stored must be.
    new Database(join(data, "history.db")).exec(`VACUUM INTO '${join(signs, "again.db")}'`);
  }
  const { openSqliteStore } = await import("../../src/boss/store/sqlite.js");
  const store = openSqliteStore(join(signs, "again.db"));
  assert.deepEqual({ seq: store.lastSeq(), run: store.run(1) }, seen);
  store.close();
});

test("a boss that is killed while its disk is full starts, says so, and goes on when there is room", {
  skip: noSmallDisk,
}, async (t) => {
  using disk = mountSmallDisk(8);
  const folder = signsFolder(t);
  const sign = join(folder, "go-on");
  await using worker = await startWorkerProcess({ executor: "process" });
  mkdirSync(join(folder, ".bettertest"));
  writeFileSync(
    join(folder, ".bettertest/pipedef.ts"),
    `import { run, stage } from "bettertest";
    stage("s", { t: () => run("any", "echo begin; until [ -e ${sign} ]; do sleep 0.05; done; exit 7") });`,
  );
  const args = ["--worker", worker.url, "--data", join(disk.folder, "data")];
  const first = await startBossProcess(args, folder);
  const id = await first.start();
  await first.sees(id, ({ event }) => event.type === "call-started");
  disk.fill();
  await first.kill();

  const second = await startBossProcess(args, folder);
  try {
    const health = await fetch(`${second.url}/healthz`);
    assert.equal(health.status, 503);
    assert.match(await health.text(), /disk/);
    disk.free();
    writeFileSync(sign, "");
    const run = await second.finished(id);
    assert.equal(statusOf(run, "s", "t"), "failed");
    assert.match(await second.output(id, "s", "t"), /^begin\n/);
  } finally {
    await second.stop();
  }
});

test("a worker whose disk is full goes on too, and says in the output what is missing", {
  skip: noSmallDisk,
}, async (t) => {
  using disk = mountSmallDisk(8);
  const signs = signsFolder(t);
  const worker = await startWorker({
    host: "127.0.0.1",
    port: 0,
    executor: "process",
    slots: 2,
    dataDir: disk.folder,
    version: "0.0.0-test",
    log: () => {},
  });
  try {
    await using rig = await startRig({
      files: { ".bettertest/pipedef.ts": pipedef(signs) },
      workers: [worker.url],
    });
    const runId = await fillInTheMiddle(rig, disk);
    writeFileSync(join(signs, "go-on"), "");
    writeFileSync(join(signs, "room"), "");
    const run = await rig.boss.engine.finished(runId);
    assert.equal(statusOf(run, "s", "good"), "passed");
    assert.equal(statusOf(run, "s", "bad"), "failed");
    for (const task of ["good", "bad"]) {
      const text = await rig.output(run.id, "s", task);
      // The last words may have found the room that the other task has left.
      const [, kept, missing, end = ""] =
        /^begin\n(x*)\n\[(\d+) bytes are missing here: [^\n]*ENOSPC[^\n]*\]\n(\nend\n)?$/.exec(
          text,
        ) ?? assert.fail(text.replace(/x+/g, "xxx"));
      assert.equal(kept!.length + Number(missing) + end.length, 300_000 + "\nend\n".length);
    }
  } finally {
    await worker.stop();
  }
});

async function began(rig: Rig, run: number): Promise<void> {
  for await (const { event } of rig.sse(`/api/runs/${run}/events`)) {
    if (event === "stage-started") break;
  }
  for (const task of ["good", "bad"]) {
    for (;;) {
      const response = await fetch(`${rig.url}/api/runs/${run}/tasks/s/${task}/output`);
      if ((await response.text()).startsWith("begin")) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
