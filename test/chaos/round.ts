// One schedule: done to a working system, then undone; then everybody is heard.

import { setTimeout as wait } from "node:timers/promises";
import { check, type Findings } from "./checker.js";
import { healAll, inflict, type Wound } from "./faults.js";
import { followFeed } from "./feed.js";
import { keepRunning } from "./runs.js";
import { type Fault, faultKinds } from "./schedule.js";
import { pipelines, type System } from "./system.js";

export interface RoundOptions {
  readonly system: System;
  readonly faults: readonly Fault[];
  readonly lengthMs: number;
  readonly leaseMs: number;
}

export interface RoundReport extends Findings {
  readonly wounds: readonly Wound[];
  readonly tookMs: number;
}

/** To end what was under way when all was well again: the longest run, several times. */
const endWithinMs = 120_000;

export async function playRound({
  system,
  faults,
  lengthMs,
  leaseMs,
}: RoundOptions): Promise<RoundReport> {
  const startedAt = Date.now();
  const firstEntry = system.ledger.entries.length;
  const feed = followFeed(system.boss.url);
  const runs = keepRunning(system, pipelines);
  const [wounds] = await Promise.all([inflict(system, faults), wait(lengthMs)]);
  await healAll(system);
  const hanging = await runs.finish(endWithinMs);
  await feed.end();

  const findings = await check({
    bossUrl: system.boss.url,
    runs: [...runs.ids].sort((a, b) => a - b),
    ledger: system.ledger.entries.slice(firstEntry),
    wounds,
    shown: feed.shown,
    healedAfterMs: leaseMs * 2 + 5_000,
  });
  findings.violations.push(...feed.troubles);
  for (const id of hanging) {
    findings.violations.push(
      `run ${id} did not end within ${endWithinMs / 1000} s after all was well`,
    );
    await fetch(`${system.boss.url}/api/runs/${id}/cancel`, { method: "POST" }).catch(() => {});
  }
  findings.violations.push(...(await leftovers(system, leaseMs)));
  return { ...findings, wounds, tookMs: Date.now() - startedAt };
}

/** No sandbox outlives its owner, nor its client by more than the lease. */
async function leftovers({ engine }: System, leaseMs: number): Promise<string[]> {
  const deadline = Date.now() + leaseMs + 20_000;
  for (;;) {
    const left = engine.containers();
    if (left.length === 0) return [];
    if (Date.now() > deadline) return left.map((id) => `sandbox ${id} was left behind`);
    await wait(500);
  }
}

export function describeRound(report: RoundReport): string {
  const count = (kind: string) => report.wounds.filter((wound) => wound.kind === kind).length;
  const done = faultKinds
    .filter((kind) => count(kind) > 0)
    .map((kind) => `${kind} ${count(kind)}x`)
    .join(", ");
  const { passed, failed, errored, cancelled } = report.ends;
  return [
    `  done to it    ${done || "nothing"}`,
    `  runs          ${report.runs}, with ${report.tasks} tasks in ${report.attempts} attempts: ${passed} passed, ${failed} failed, ${errored} errored, ${cancelled} cancelled`,
    ...[...report.faults].map(([reason, times]) => `    ${times}x ${reason}`),
    `  really done   ${report.commands} commands; ${report.outputBytes.toLocaleString("en-US")} bytes of output compared`,
    `  violations    ${report.violations.length}${report.violations.map((words) => `\n    - ${words}`).join("")}`,
    `  took          ${(report.tookMs / 1000).toFixed(0)} s`,
  ].join("\n");
}
