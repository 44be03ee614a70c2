// One command whose worker cannot be reached for a while, in the middle of what it prints.

import { setTimeout as wait } from "node:timers/promises";
import type { Run } from "../../src/model/run.js";
import { image } from "../rig/docker.js";
import { startProxy } from "../rig/proxy.js";
import { startRig } from "../rig/rig.js";
import { containersOf, startTestWorker } from "../rig/worker.js";

export interface CutOptions {
  /** Refused: connections break, and no new one is taken. Silent: nothing says that anything is wrong. */
  readonly form: "refused" | "silent";
  readonly cutMs: number;
  readonly leaseMs: number;
  /** How long the command prints, a line each tenth of a second. */
  readonly printsForMs: number;
}

export interface CutStory {
  readonly run: Run;
  /** Of each attempt; the command prints 1, 2, 3, ... each on a line. */
  readonly outputs: readonly string[];
  readonly lines: number;
  /** Its containers just before the network was mended, and a little after the end. */
  readonly sandboxesInCut: number;
  readonly sandboxesLeft: number;
}

export async function cutNetwork(options: CutOptions): Promise<CutStory> {
  const { form, cutMs, leaseMs, printsForMs } = options;
  const lines = Math.round(printsForMs / 100);
  const command = `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo $i; sleep 0.1; done`;
  await using worker = await startTestWorker({ executor: "docker", slots: 2, poolMax: 0 });
  using network = await startProxy(() => worker.url);
  await using rig = await startRig({
    files: {
      ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
        stage("s", { t: () => run("${image}", ${JSON.stringify(command)}) });`,
    },
    workers: [network.url],
    workerLeaseMs: leaseMs,
  });
  const ended = rig.run();
  await untilPrinted(rig.url, 5);
  if (form === "refused") network.cut();
  else network.stall();
  await wait(cutMs);
  const sandboxesInCut = sandboxesOf(await current(rig.url)).length;
  network.restore();
  const run = await ended;
  const attempts = run.stages[0]?.tasks[0]?.attempts ?? [];
  const outputs = await Promise.all(
    attempts.map(async (_, index) => {
      const path = `/api/runs/${run.id}/tasks/s/t/output?attempt=${index + 1}`;
      return (await fetch(rig.url + path)).text();
    }),
  );
  // Removed off the client's clock.
  const deadline = Date.now() + 15_000;
  while (sandboxesOf(run).length > 0 && Date.now() < deadline) await wait(100);
  return { run, outputs, lines, sandboxesInCut, sandboxesLeft: sandboxesOf(run).length };
}

async function current(url: string): Promise<Run> {
  const response = await fetch(`${url}/api/runs/1`);
  return ((await response.json()) as { run: Run }).run;
}

/** Those of its containers that are still there; other stories go on beside this one. */
function sandboxesOf(run: Run): string[] {
  const attempts = run.stages[0]?.tasks[0]?.attempts ?? [];
  const there = containersOf(process.pid);
  return attempts.flatMap(({ calls }) =>
    calls.flatMap(({ sandbox }) => (there.includes(sandbox) ? [sandbox] : [])),
  );
}

async function untilPrinted(url: string, lines: number): Promise<void> {
  const events = await fetch(`${url}/api/runs/1/events?after=0`);
  for await (const chunk of events.body!) {
    if (Buffer.from(chunk).includes("event: call-started")) break;
  }
  const output = await fetch(`${url}/api/runs/1/tasks/s/t/output?follow=1`);
  let text = "";
  for await (const chunk of output.body!) {
    text += Buffer.from(chunk).toString();
    if (text.split("\n").length > lines) return;
  }
}

export function numbered(lines: number): string {
  return Array.from({ length: lines }, (_, line) => `${line + 1}\n`).join("");
}

/** What must come of it, as sentences where it did not. */
export function faultsOfStory(story: CutStory, { cutMs, leaseMs }: CutOptions): string[] {
  const { run, outputs, lines, sandboxesInCut, sandboxesLeft } = story;
  const ends = run.stages[0]?.tasks[0]?.attempts.map(({ end }) => end?.status) ?? [];
  const isResumed = cutMs < leaseMs;
  const meant = isResumed ? ["passed"] : ["errored", "passed"];
  const faults: string[] = [];
  if (run.status !== "passed") faults.push(`the run is ${run.status}`);
  if (ends.join() !== meant.join())
    faults.push(`attempts ended ${ends.join()}, not ${meant.join()}`);
  if (outputs.at(-1) !== numbered(lines))
    faults.push(`output of the last attempt: ${outputs.at(-1)}`);
  for (const output of outputs.slice(0, -1)) {
    if (!numbered(lines).startsWith(output)) faults.push(`output of a lost attempt: ${output}`);
  }
  if (isResumed ? sandboxesInCut !== 1 : sandboxesInCut !== 0) {
    faults.push(`${sandboxesInCut} sandboxes at the end of the cut`);
  }
  if (sandboxesLeft !== 0) faults.push(`${sandboxesLeft} sandboxes left`);
  return faults;
}
