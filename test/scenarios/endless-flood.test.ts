// `yes` for 20 s, boss and worker in processes of their own, as they are in life.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { RunSnapshot } from "../../src/wire/boss.js";
import { type RunningCli, startCli, tempRepo } from "../cli/rig.js";
import { image, noDocker } from "../rig/docker.js";
import { eventually } from "../rig/worker.js";

const mib = 2 ** 20;
const seconds = 20;

const pipedef = `
  import { run, stage } from "bettertest";
  const s = stage("s");
  const probe = async () => {
    for (let i = 0; i < 12; i++) console.log((await run("${image}", "true")).durationMs);
  };
  s.task("calm", probe);
  s.task("flood", () => run("${image}", "timeout ${seconds} yes; echo the end; exit 7"));`;

function residentBytes({ child }: RunningCli): number {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

async function addressOf(program: RunningCli): Promise<string> {
  return /http:\/\/[\w.:]+\d/.exec(await program.prints(/http:\/\/[\w.:]+\d/))![0];
}

describe("a task that prints without end", { skip: noDocker() }, () => {
  test("is capped and marked, and costs boss, worker and other tasks little", async (t) => {
    const data = mkdtempSync(join(tmpdir(), "bettertest-flood-"));
    using repo = tempRepo({ ".bettertest/pipedef.ts": pipedef });
    const cap = ["--max-output", "8m"];
    const worker = startCli(["worker", "--port", "0", "--slots", "3", ...cap]);
    const workerUrl = await addressOf(worker);
    const boss = startCli([
      "boss",
      "--port",
      "0",
      "--worker",
      workerUrl,
      "--data",
      data,
      "--pipedef",
      repo.folder,
      ...cap,
    ]);
    const url = await addressOf(boss);
    try {
      const start = async (only: string[]) => {
        const body = JSON.stringify({ only });
        const headers = { "content-type": "application/json" };
        const answer = await fetch(`${url}/api/runs`, { method: "POST", body, headers });
        const { run } = (await answer.json()) as { run: number };
        return run;
      };
      const snapshot = async (id: number) =>
        ((await (await fetch(`${url}/api/runs/${id}`)).json()) as RunSnapshot).run;
      const ended = (id: number) =>
        eventually(async () => (await snapshot(id)).finishedAt !== null, 120_000);
      const output = async (id: number, task: string) =>
        await (await fetch(`${url}/api/runs/${id}/tasks/s/${task}/output`)).text();
      const median = (text: string) => {
        const times = text
          .trim()
          .split("\n")
          .map(Number)
          .sort((a, b) => a - b);
        return times[Math.floor(times.length / 2)]!;
      };

      const alone = await start(["s.calm"]);
      await ended(alone);
      const calmAlone = median(await output(alone, "calm"));
      const idle = { boss: residentBytes(boss), worker: residentBytes(worker) };
      const most = { ...idle };
      const watch = setInterval(() => {
        most.boss = Math.max(most.boss, residentBytes(boss));
        most.worker = Math.max(most.worker, residentBytes(worker));
      }, 100);
      const id = await start(["s.calm", "s.flood"]);
      await ended(id);
      clearInterval(watch);
      const calmBeside = median(await output(id, "calm"));
      const flood = await output(id, "flood");

      const missing = Number(/\n\[(\d+) bytes are missing here/.exec(flood)?.[1]);
      assert.ok(
        missing > 0 && flood.length < 9 * mib,
        `${missing} missing, ${flood.length} bytes: ${flood.slice(0, 99)}`,
      );
      assert.ok(flood.startsWith("y\ny\n") && flood.endsWith("the end\n"));
      const run = await snapshot(id);
      assert.deepEqual(
        run.stages[0]?.tasks.map(({ status }) => status),
        ["passed", "failed"],
      );
      const more = {
        boss: Math.round((most.boss - idle.boss) / mib),
        worker: Math.round((most.worker - idle.worker) / mib),
      };
      t.diagnostic(
        `printed ${Math.round((flood.length + missing) / mib)} MiB; more memory than idle: boss ${more.boss} MiB, worker ${more.worker} MiB; ` +
          `a container beside it ${Math.round(calmBeside)} ms, alone ${Math.round(calmAlone)} ms`,
      );
      assert.ok(more.boss < 150, `boss: ${more.boss} MiB more than idle`);
      assert.ok(more.worker < 150, `worker: ${more.worker} MiB more than idle`);
    } finally {
      for (const program of [boss, worker]) {
        program.child.kill("SIGTERM");
        await program.ended;
      }
      rmSync(data, { recursive: true, force: true });
    }
  });
});
