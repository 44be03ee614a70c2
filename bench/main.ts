// Runs the benchmarks one after the other, and writes down what came of them.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { version } from "../src/version.js";
import { commandLineBench } from "./command-line.js";
import type { Bench, BenchContext, Need } from "./measure.js";
import { outputBench } from "./output.js";
import { latencyBench, stageBench } from "./sandboxes.js";
import { schedulerBench } from "./scheduler.js";
import { profileInto } from "./stand.js";
import { markdown, type Section, terminalTable } from "./table.js";
import { cpuBench, memoryBench, pipedefBench, pythonBench } from "./tasks.js";

const benches: readonly Bench[] = [
  latencyBench,
  stageBench,
  commandLineBench,
  outputBench,
  pipedefBench,
  pythonBench,
  cpuBench,
  memoryBench,
  schedulerBench,
];

const root = fileURLToPath(new URL("../..", import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string", default: "" },
    profile: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  console.log("npm run bench -- [NAME...] [--quick] [--rounds N] [--profile FOLDER]\n");
  for (const { name, what } of benches) console.log(`  ${name.padEnd(12)} ${what}`);
  process.exit(0);
}
const unknown = positionals.find((name) => !benches.some((bench) => bench.name === name));
if (unknown !== undefined) {
  console.error(`there is no benchmark "${unknown}"; see: npm run bench -- --help`);
  process.exit(2);
}

if (values.profile !== undefined) profileInto(resolve(values.profile));

const rounds = Number(values.rounds) || (values.quick ? 2 : 5);
const chosen = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const sections: Section[] = [];
for (const bench of chosen) {
  process.stderr.write(`${bench.name} ...`);
  const startedAt = performance.now();
  const section = await sectionOf(bench);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stderr.write(` ${seconds} s${section.missing ? ` (${section.missing})` : ""}\n`);
  sections.push(section);
}
console.log(`\n${terminalTable(sections)}`);
if (chosen.length === benches.length && !values.quick) {
  const path = join(root, "bench/RESULTS.md");
  writeFileSync(path, markdown(sections, { version }));
  console.log(`\nwritten: ${path}`);
}
process.exit(0);

/** One that cannot run says so, and the others go on. */
async function sectionOf({ name, needs, run }: Bench): Promise<Section> {
  const missing = needs.find((need) => !isThere(need));
  if (missing) return { name, rows: [], missing: `not measured, ${missing} is not there` };
  const folder = mkdtempSync(join(tmpdir(), "bettertest-bench-"));
  const context: BenchContext = { rounds, quick: values.quick, folder };
  try {
    return { name, rows: await run(context) };
  } catch (error) {
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`\n${words}\n`);
    return { name, rows: [], missing: `broke off: ${words.split("\n")[0]}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isThere(need: Need): boolean {
  const args = need === "docker" ? ["version"] : ["--version"];
  return spawnSync(need, args, { stdio: "ignore" }).status === 0;
}
