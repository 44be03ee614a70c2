// A boss's data folder, looked at from outside: how large it is, and whether all of it is as it must be.

import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../../lib/units.js";
import { eachTask, isFinished, type Run } from "../../model/run.js";
import { Outputs } from "../output/outputs.js";
import { openHistoryReader } from "../store/reader.js";
import { filesFolder, historyFile, outputsFolder } from "./data-paths.js";

export interface DataSizes {
  readonly databaseBytes: number;
  readonly outputBytes: number;
  readonly freeBytes: number;
  readonly runs: number;
  /** Newest first. */
  readonly newest: readonly RunSize[];
  readonly biggest: readonly RunSize[];
}

export interface RunSize {
  readonly run: number;
  readonly outputBytes: number;
}

const shownRuns = 5;

export async function dataSizes(folder: string): Promise<DataSizes> {
  const reader = openHistoryReader(join(folder, historyFile));
  const ids = reader.runIds();
  reader.close();
  const outputs = outputsIn(folder);
  const sizes: RunSize[] = [];
  for (const run of ids) sizes.push({ run, outputBytes: await outputs.bytesOf(run) });
  let databaseBytes = 0;
  for (const suffix of ["", "-wal", "-shm"]) {
    databaseBytes += await sizeOf(join(folder, `${historyFile}${suffix}`));
  }
  const { bavail, bsize } = await statfs(folder);
  return {
    databaseBytes,
    outputBytes: sizes.reduce((sum, { outputBytes }) => sum + outputBytes, 0),
    freeBytes: bavail * bsize,
    runs: ids.length,
    newest: sizes.toReversed().slice(0, shownRuns),
    biggest: sizes.toSorted((a, b) => b.outputBytes - a.outputBytes).slice(0, shownRuns),
  };
}

export function outputsIn(folder: string): Outputs {
  return new Outputs(join(folder, outputsFolder), { maxOutputBytes: Number.POSITIVE_INFINITY });
}

/** What is wrong, a sentence each; empty: nothing. A boss may be using the folder meanwhile. */
export async function dataProblems(folder: string): Promise<string[]> {
  const reader = openHistoryReader(join(folder, historyFile));
  try {
    const damage = reader.damage().map((line) => `${historyFile} is damaged: ${line}`);
    if (damage.length > 0) return damage;
    const problems = reader.disagreements();
    const outputs = outputsIn(folder);
    const names = await readdir(outputs.folder).catch(() => []);
    const known = new Set(reader.runIds().map(String));
    for (const name of names) {
      if (known.has(name)) continue;
      const size = formatBytes(/^\d+$/.test(name) ? await outputs.bytesOf(Number(name)) : 0);
      problems.push(`${join(outputs.folder, name)} belongs to no run (${size}); it may be deleted`);
    }
    for (const id of known) {
      const run = readRun(() => reader.run(Number(id)));
      // Of one under way, everything changes while it is looked at.
      if (run && isFinished(run)) problems.push(...(await outputProblems(run, outputs)));
    }
    return problems;
  } finally {
    reader.close();
  }
}

async function outputProblems(run: Run, outputs: Outputs): Promise<string[]> {
  const problems: string[] = [];
  const expected = new Set<string>();
  for (const { ref, task } of eachTask(run)) {
    for (const [index, { output }] of task.attempts.entries()) {
      const attempt = { ...ref, attempt: index + 1 };
      const path = outputs.path({ run: run.id, pipeline: run.pipeline!, attempt });
      expected.add(path);
      const found = await stat(path).catch(() => null);
      const bytes = output?.bytes;
      if (found === null && bytes !== 0) problems.push(`${path} is missing`);
      else if (found && bytes !== undefined && found.size !== bytes) {
        problems.push(`${path} has ${found.size} bytes, and was stored with ${bytes}`);
      }
    }
  }
  const folder = join(outputs.folder, String(run.id));
  for (const name of await readdir(folder).catch(() => [])) {
    if (name === filesFolder) continue;
    const path = join(folder, name.replace(/(?<=\.out)\..*$/, ""));
    if (!expected.has(path))
      problems.push(`${join(folder, name)} belongs to no attempt of its run`);
  }
  return problems;
}

/** That it cannot be read was said by whoever compared it with the list of runs. */
function readRun(read: () => Run | undefined): Run | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}
