// `npm run chaos`: rounds of chaos, one after the other, each with a seed of its own that replays it.

import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { noOwnEngine } from "./engine.js";
import { cutNetwork, faultsOfStory } from "./network-cut.js";
import { describeRound, playRound, type RoundReport } from "./round.js";
import { type FaultKind, faultKinds, scheduleOf } from "./schedule.js";
import { startSystem } from "./system.js";

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly leaseMs: number;
  readonly kinds: ReadonlySet<FaultKind>;
  readonly keep: boolean;
  readonly print: (text: string) => void;
}

const longestRoundMs = 60_000;

/** What can be made to happen today, and must then do no harm. */
export const defaultLeaseMs = 6_000;

/** The number of violations. */
export async function chaos(options: ChaosOptions): Promise<number> {
  const { minutes, seed, leaseMs, kinds, keep, print } = options;
  const folder = join(tmpdir(), `bettertest-chaos-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const totalMs = minutes * 60_000;
  const rounds = Math.max(1, Math.round(totalMs / longestRoundMs));
  const lengthMs = totalMs / rounds;
  const system = await startSystem(folder, leaseMs, kinds);
  const stop = async () => {
    await system[Symbol.asyncDispose]();
    process.exit(130);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const reports: RoundReport[] = [];
  try {
    for (const [kind, why] of system.missing) {
      if (kinds.has(kind)) print(`without ${kind}: ${why}`);
    }
    for (let round = 0; round < rounds; round++) {
      // Left out after they were drawn: the others come as they do on a machine that can do all.
      const faults = scheduleOf(seed + round, { lengthMs, leaseMs, kinds: [...kinds] }).filter(
        ({ kind }) => !system.missing.has(kind),
      );
      print(
        `round ${round + 1} of ${rounds}, seed ${seed + round}, ${(lengthMs / 1000).toFixed(0)} s`,
      );
      const report = await playRound({ system, faults, lengthMs, leaseMs });
      print(describeRound(report));
      reports.push(report);
    }
  } finally {
    process.removeListener("SIGINT", stop).removeListener("SIGTERM", stop);
    await system[Symbol.asyncDispose]();
  }
  const violations = reports.reduce((sum, report) => sum + report.violations.length, 0);
  const total = (of: (report: RoundReport) => number) =>
    reports.reduce((sum, report) => sum + of(report), 0);
  print(
    `${rounds} rounds from seed ${seed}: ${total(({ wounds }) => wounds.length)} faults, ${total(({ runs }) => runs)} runs, ${total(({ attempts }) => attempts)} attempts, ${total(({ commands }) => commands)} commands, ${violations} violations`,
  );
  if (violations > 0 || keep) print(`logs of boss, worker and engine: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  return violations;
}

/** Instead of a schedule: one cut of the network in mid-output, in both forms. */
async function cut(cutMs: number, leaseMs: number): Promise<number> {
  let exitCode = 0;
  for (const form of ["refused", "silent"] as const) {
    const options = {
      form,
      cutMs,
      leaseMs,
      printsForMs: cutMs < leaseMs ? cutMs + 10_000 : 30_000,
    };
    const startedAt = Date.now();
    const story = await cutNetwork(options);
    const faults = faultsOfStory(story, options);
    if (faults.length > 0) exitCode = 1;
    const attempts = story.run.stages[0]?.tasks[0]?.attempts ?? [];
    const told = attempts.map(({ startedAt, finishedAt, end }, index) => {
      const seconds = (((finishedAt ?? 0) - startedAt) / 1000).toFixed(1);
      return `${end?.status} after ${seconds} s with ${story.outputs[index]?.match(/\n/g)?.length ?? 0} lines`;
    });
    console.log(
      `${form}, cut for ${cutMs / 1000} s, lease ${leaseMs / 1000} s: ${told.join(", ")} of ${story.lines}; ` +
        `sandboxes at the end of the cut ${story.sandboxesInCut}, after the run ${story.sandboxesLeft}; ` +
        `took ${((Date.now() - startedAt) / 1000).toFixed(0)} s; ${faults.join("; ") || "as it should be"}`,
    );
  }
  return exitCode;
}

export async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      lease: { type: "string", default: String(defaultLeaseMs / 1000) },
      only: { type: "string", multiple: true, default: [] },
      without: { type: "string", multiple: true, default: [] },
      keep: { type: "boolean", default: false },
      cut: { type: "string" },
    },
  });
  if (values.cut !== undefined) return cut(Number(values.cut) * 1000, Number(values.lease) * 1000);
  const why = noOwnEngine();
  if (why) {
    console.error(`no chaos here: ${why}`);
    return 3;
  }
  const named = (kind: string, list: readonly string[]) => list.some((name) => kind.includes(name));
  const kinds = new Set(
    faultKinds.filter(
      (kind) =>
        (values.only.length === 0 || named(kind, values.only)) && !named(kind, values.without),
    ),
  );
  const violations = await chaos({
    minutes: Number(values.minutes),
    seed: Number(values.seed),
    leaseMs: Number(values.lease) * 1000,
    kinds,
    keep: values.keep,
    print: (text) => console.log(text),
  });
  return violations === 0 ? 0 : 1;
}
