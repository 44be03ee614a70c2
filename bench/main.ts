// Runs the benchmarks one after the other, and writes down what came of them.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { version } from "../src/version.js";
import { commandLineBench } from "./command-line.js";
import { editedRunBench } from "./edited-run.js";
import { keepBusy, lookAtMachine } from "./machine.js";
import type { Bench, BenchContext, Need } from "./measure.js";
import { outputBench } from "./output.js";
import { latencyBench, stageBench } from "./sandboxes.js";
import { schedulerBench } from "./scheduler.js";
import { sourcesBench } from "./sources.js";
import { endAll, image, profileInto } from "./stand.js";
import { markdown, type Section, terminalTable } from "./table.js";
import { memoryBench, pipedefBench, pythonBench } from "./tasks.js";

const benches: readonly Bench[] = [
  latencyBench,
  stageBench,
  commandLineBench,
  editedRunBench,
  outputBench,
  sourcesBench,
  pipedefBench,
  pythonBench,
  memoryBench,
  schedulerBench,
];

/** One that hangs must not keep the others from being measured. */
const longestBenchMs = 8 * 60_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
/** What has been measured so far. */
const unfinished = join(root, "dist/bench-unfinished.json");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "" },
    resume: { type: "boolean", default: false },
    busy: { type: "boolean", default: false },
    out: { type: "string" },
    profile: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log(
    [
      "npm run bench -- [NAME...] [--quick] [--rounds N] [--resume] [--busy] [--out FILE] [--profile FOLDER]",
      "",
      ...benches.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`),
      "",
      "  --quick      little work and 2 rounds: to see that all of it runs",
      "  --rounds N   5 by default, 3 where it is busy",
      "  --resume     goes on with one that was interrupted",
      "  --busy       beside endless loops on all processors; writes bench/RESULTS-busy.md",
      "  --out FILE   in place of bench/RESULTS.md, and also of some or quick ones",
      "  --profile    leaves there a profile of each boss and worker (.cpuprofile)",
    ].join("\n"),
  );
  process.exit(0);
}
const unknown = positionals.find((name) => !benches.some((bench) => bench.name === name));
if (unknown !== undefined) {
  console.error(`there is no benchmark "${unknown}"; see: npm run bench -- --help`);
  process.exit(2);
}
if (values.profile !== undefined) profileInto(resolve(values.profile));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // What is measured ends first: it still writes into the folder. A second signal does not wait for it.
  process.once(signal, () => void endAll().then(() => process.exit(130)));
}

const rounds = Number(values.rounds) || (values.quick ? 2 : values.busy ? 3 : 5);
/** Figures of other settings must not be mixed. */
const settings = JSON.stringify({ rounds, quick: values.quick, busy: values.busy, version });
const chosen = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const known = values.resume ? readUnfinished() : [];
const sections: Section[] = [];
let busy = false;
for (const bench of chosen) {
  const before = known.find(({ name, missing }) => name === bench.name && !missing);
  if (before) {
    process.stderr.write(`${bench.name}: measured before\n`);
    sections.push(before);
    continue;
  }
  process.stderr.write(`${bench.name} ...`);
  const section = await sectionOf(bench);
  const seconds = (section.tookMs / 1000).toFixed(1);
  process.stderr.write(` ${seconds} s${section.missing ? ` (${section.missing})` : ""}\n`);
  sections.push(section);
  if (positionals.length === 0) writeFileSync(unfinished, JSON.stringify({ settings, sections }));
}
console.log(`\n${terminalTable(sections)}`);
const isWhole = chosen.length === benches.length && !values.quick;
const name = values.busy ? "RESULTS-busy.md" : "RESULTS.md";
const path = values.out ?? (isWhole ? join(root, "bench", name) : null);
if (path !== null) {
  writeFileSync(path, markdown(sections, occasion()));
  console.log(`\nwritten: ${path}`);
}
if (positionals.length === 0) rmSync(unfinished, { force: true });
process.exit(0);

/** One that cannot run says so, and the others go on. */
async function sectionOf({ name, needs, run }: Bench): Promise<Section> {
  const machine = await lookAtMachine();
  if (values.busy && !busy) keepBusy();
  busy = values.busy;
  const startedAt = performance.now();
  const section = (found: Pick<Section, "rows" | "missing">): Section => ({
    ...found,
    name,
    before: machine,
    tookMs: performance.now() - startedAt,
  });
  const missing = needs.map(lacking).find((words) => words !== null);
  if (missing) return section({ rows: [], missing: `not measured: ${missing}` });
  const folder = mkdtempSync(join(tmpdir(), "bettertest-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  const context: BenchContext = { rounds, quick: values.quick, folder };
  try {
    return section({ rows: await inTime(run(context)) });
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`\n${words}\n`);
    return section({ rows: [], missing: `broke off: ${words.split("\n")[0]}` });
  } finally {
    await endAll();
    process.off("exit", remove);
    remove();
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const words = `it took longer than ${longestBenchMs / 60_000} minutes`;
    timer = setTimeout(() => reject(new Error(words)), longestBenchMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** What to do where it is not there; null: it is. */
function lacking(need: Need): string | null {
  if (need === "python3") return answers("python3", "--version") ? null : "there is no python3";
  if (!answers("docker", "version")) return "no Docker engine answers";
  if (answers("docker", "image", "inspect", image)) return null;
  return `the image ${image} is not there, make it: node scripts/base-image.mjs`;
}

function answers(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function occasion() {
  const first = (command: string, ...args: string[]) =>
    spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() || `no ${command}`;
  return {
    version,
    docker: first("docker", "version", "--format", "{{.Server.Version}}"),
    python: first("python3", "--version"),
    busy: values.busy,
  };
}

function readUnfinished(): readonly Section[] {
  try {
    const found = JSON.parse(readFileSync(unfinished, "utf8"));
    return found.settings === settings ? found.sections : [];
  } catch {
    return [];
  }
}
