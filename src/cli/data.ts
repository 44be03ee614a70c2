// `bettertest data`: works on the folder itself, so it needs no boss. One may run meanwhile; only for an import
// it must be stopped, since it gives runs their numbers.

import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { dataProblems, dataSizes, outputsIn, type RunSize } from "../boss/history/data-folder.js";
import { historyFile } from "../boss/history/data-paths.js";
import { BadRunFile, importRun } from "../boss/history/import-run.js";
import { exportRun } from "../boss/history/run-file.js";
import { openHistoryReader } from "../boss/store/reader.js";
import { openSqliteStore } from "../boss/store/sqlite.js";
import { makeFolder } from "../lib/make-folder.js";
import { formatBytes } from "../lib/units.js";
import { exitCodes } from "../model/exit-code.js";
import { count, oneLine } from "../terminal/text.js";
import { defaultBossPort } from "../wire/well-known.js";
import { printJson } from "./boss-access.js";
import { infrastructureError, usageError } from "./cli-error.js";
import { dataFolder } from "./data-folder.js";
import { runId } from "./run-id.js";

/** Of one run, unpacked. */
const maxImportBytes = 100 * 2 ** 30;

interface DataArguments {
  readonly action: string | undefined;
  readonly what: string | undefined;
  readonly data: string | undefined;
  readonly output: string | undefined;
  readonly json: boolean;
}

export async function data(args: DataArguments): Promise<number> {
  const folder = dataFolder("boss", { data: args.data, port: defaultBossPort });
  if (args.action !== "import" && !existsSync(join(folder, historyFile))) {
    throw usageError(`${folder} holds no history of a boss`, "Name its folder with --data DIR.");
  }
  if (args.action === "export" || args.action === "import") {
    if (args.what === undefined) {
      const example = args.action === "export" ? "export 12" : "import run-12.bettertest";
      throw usageError(`data ${args.action}: of what?`, `For instance: bettertest data ${example}`);
    }
    return args.action === "export"
      ? await exportTo(folder, runId(args.what), args)
      : await importFrom(folder, args.what, args);
  }
  if (args.what !== undefined) throw usageError(`data ${args.action} does not take "${args.what}"`);
  return args.action === "check" ? await check(folder, args) : await sizes(folder, args);
}

async function sizes(folder: string, { json }: DataArguments): Promise<number> {
  const found = await orSaying(() => dataSizes(folder));
  if (json) {
    printJson({ folder, ...found });
    return exitCodes.passed;
  }
  const ofRuns = (runs: readonly RunSize[]) =>
    runs.map(({ run, outputBytes }) => `#${run} ${formatBytes(outputBytes)}`).join(", ") || "none";
  print(folder);
  print(`  history   ${formatBytes(found.databaseBytes)}, ${count(found.runs, "run")}`);
  print(`  outputs   ${formatBytes(found.outputBytes)}`);
  print(`  newest    ${ofRuns(found.newest)}`);
  print(`  biggest   ${ofRuns(found.biggest)}`);
  print(`  free      ${formatBytes(found.freeBytes)}`);
  return exitCodes.passed;
}

async function check(folder: string, { json }: DataArguments): Promise<number> {
  const problems = await orSaying(() => dataProblems(folder));
  if (json) printJson({ folder, ok: problems.length === 0, problems });
  else if (problems.length === 0) print(`${folder}: all is as it should be`);
  else {
    for (const problem of problems) print(oneLine(problem));
    process.stderr.write(`bettertest: ${folder}: ${count(problems.length, "problem")}\n`);
  }
  return problems.length === 0 ? exitCodes.passed : exitCodes.errored;
}

async function exportTo(folder: string, run: number, args: DataArguments): Promise<number> {
  const path = resolve(args.output ?? `run-${run}.bettertest`);
  const reader = await orSaying(async () => openHistoryReader(join(folder, historyFile)));
  try {
    if (!reader.run(run)) throw usageError(`there is no run ${run} in ${folder}`);
    const to = createWriteStream(path, { flags: "wx", mode: 0o600 });
    await exportRun({ ...reader, outputs: outputsIn(folder) }, run, to).catch(async (error) => {
      if (error.code === "EEXIST")
        throw usageError(`${path} is there already`, "Choose another: -o FILE");
      await rm(path, { force: true });
      throw infrastructureError(`run ${run} cannot be exported: ${error.message}`);
    });
  } finally {
    reader.close();
  }
  if (args.json) printJson({ run, file: path });
  else print(`run ${run} is in ${path}`);
  return exitCodes.passed;
}

async function importFrom(folder: string, file: string, { json }: DataArguments): Promise<number> {
  const path = resolve(file);
  if (!existsSync(path)) throw usageError(`there is no file ${path}`);
  const store = await orSaying(async () => {
    await makeFolder(folder);
    return openSqliteStore(join(folder, historyFile));
  });
  try {
    const target = { ...store, outputs: outputsIn(folder), maxBytes: maxImportBytes };
    const run = await importRun(target, createReadStream(path)).catch((error) => {
      if (error instanceof BadRunFile)
        throw usageError(`${path} cannot be imported: ${error.message}`);
      throw infrastructureError(`${path} cannot be imported: ${error.message}`);
    });
    if (json) printJson({ run, file: path });
    else print(`${path} is run ${run} now`);
  } finally {
    store.close();
  }
  return exitCodes.passed;
}

async function orSaying<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw infrastructureError(error instanceof Error ? error.message : String(error));
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
