// A run whose engine, or worker, is killed again and again; and a checker that knows from elsewhere what every
// task did: each writes into a ledger on this machine that no part of bettertest knows of.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { eachTask, type Run } from "../../src/model/run.js";
import { startCli } from "../cli/rig.js";
import { image } from "../rig/docker.js";
import { noOwnEngine, type OwnEngine, startOwnEngine } from "../rig/engine.js";
import { type Rig, startRig } from "../rig/rig.js";
import { eventually } from "../rig/worker.js";

const count = 20;
const kills = 5;

/** Every third passes. All would pass if what they do about SIGTERM counted. */
const codeOf = (i: number) => i % 3;
const linesOf = (i: number) => Array.from({ length: 10 }, (_, k) => `${i} prints ${k}\n`).join("");

const pipedef = `
  import { run, stage } from "bettertest";
  const s = stage("s");
  for (let i = 0; i < ${count}; i++) {
    const code = i % 3;
    s.task("t" + i, () => run("${image}",
      "trap 'exit 0' TERM; echo " + i + " start >> /ledger/log; " +
      "for k in 0 1 2 3 4 5 6 7 8 9; do echo " + i + " prints $k; sleep 0.1; done; " +
      "echo " + i + " end " + code + " >> /ledger/log; exit " + code));
  }`;

interface Broken {
  readonly rig: Rig;
  readonly engine: OwnEngine;
  readonly ledger: () => string[];
}

/** Breaks it each time when two more tasks have begun. */
async function runAndBreak({ rig, ledger }: Broken, breakIt: (n: number) => Promise<void>) {
  const { engine } = rig.boss;
  await eventually(() => engine.workers.views().every(({ status }) => status === "connected"));
  const started = engine.start({ trigger: "test" });
  assert.ok(started.ok);
  const ended = engine.finished(started.run);
  const starts = () => ledger().filter((line) => line.endsWith("start")).length;
  for (let n = 0; n < kills; n++) {
    const before = starts();
    await eventually(() => starts() >= before + 2, 60_000);
    await breakIt(n);
  }
  return await ended;
}

async function check(run: Run, { rig, engine, ledger }: Broken) {
  const told = { attempts: 0, lost: 0 };
  for (const { ref, task } of eachTask(run)) {
    const i = Number(ref.task.slice(1));
    const attempts = task.attempts.map(({ end }) => end);
    const believed = attempts.filter((end) => end?.status === "passed" || end?.status === "failed");
    const really = ledger().filter((line) => line.startsWith(`${i} end `));
    told.attempts += attempts.length;
    told.lost += attempts.length - believed.length;
    assert.equal(
      task.status,
      codeOf(i) === 0 ? "passed" : "failed",
      `${ref.task}: ${JSON.stringify(attempts)}`,
    );
    assert.equal(believed.length, 1, `${ref.task} has one verdict`);
    assert.ok(really.length >= 1, `${ref.task} came to its end`);
    assert.ok(really.every((line) => line === `${i} end ${codeOf(i)}`));
    const end = believed[0];
    if (end?.status === "failed") {
      assert.equal(end.failure.kind === "exit" && end.failure.exitCode, codeOf(i));
    }
    assert.equal(await rig.output(run.id, "s", ref.task), linesOf(i), `output of ${ref.task}`);
  }
  const views = () => rig.boss.engine.workers.views();
  // But for those that wait for commands to come.
  const ready = () => views().reduce((sum, { info }) => sum + (info?.ready ?? 0), 0);
  await eventually(() => engine.containers().length === ready(), 60_000);
  return told;
}

describe("20 tasks", { skip: noOwnEngine() }, () => {
  async function broken(work: (engine: OwnEngine, ledger: Broken["ledger"]) => Promise<void>) {
    const folder = mkdtempSync(join(tmpdir(), "bettertest-ledger-"));
    const file = join(folder, "log");
    writeFileSync(file, "");
    const engine = await startOwnEngine({ ledger: folder });
    try {
      await work(engine, () => readFileSync(file, "utf8").trim().split("\n"));
    } finally {
      await engine[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const files = { ".bettertest/pipedef.ts": pipedef };

  test(`the engine killed or stopped ${kills} times: every verdict is right, nothing is left`, async (t) => {
    await broken(async (engine, ledger) => {
      await using rig = await startRig({
        files,
        executor: "docker",
        dockerHost: engine.address,
        slots: 4,
        infraRetries: 20,
      });
      const run = await runAndBreak({ rig, engine, ledger }, async (n) => {
        await engine.end(n % 2 === 0 ? "SIGKILL" : "SIGTERM");
        await engine.start();
      });
      const { attempts, lost } = await check(run, { rig, engine, ledger });
      t.diagnostic(`${attempts} attempts, ${lost} of them lost, ${ledger().length} ledger lines`);
      assert.ok(lost >= kills, "each time something was under way");
    });
  });

  test(`the worker killed ${kills} times: every verdict is right, nothing is left`, async (t) => {
    await broken(async (engine, ledger) => {
      const start = async (port: string) => {
        const flags = ["--slots", "4", "--docker", engine.address];
        const worker = startCli(["worker", "--port", port, ...flags]);
        const line = await worker.prints(/http:\/\/[\w.:]+\d/);
        return { worker, url: /http:\/\/[\w.:]+\d/.exec(line)![0] };
      };
      let { worker, url } = await start("0");
      try {
        await using rig = await startRig({ files, workers: [url], infraRetries: 20 });
        const run = await runAndBreak({ rig, engine, ledger }, async () => {
          worker.child.kill("SIGKILL");
          await worker.ended;
          ({ worker, url } = await start(new URL(url).port));
        });
        const { attempts, lost } = await check(run, { rig, engine, ledger });
        t.diagnostic(`${attempts} attempts, ${lost} of them lost, ${ledger().length} ledger lines`);
        assert.ok(lost >= kills, "each time something was under way");
      } finally {
        worker.child.kill("SIGTERM");
        await worker.ended;
      }
    });
  });
});
