// What was kept of what commands have left: the lists of tests and artifacts of a run, and the artifacts themselves.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { asError } from "../../lib/as-error.js";
import type { AttemptRef } from "../../model/events.js";
import { eachTask, type Run } from "../../model/run.js";
import type { Artifact, FilesSummary, TestCase } from "../../model/test-results.js";
import type { Outputs } from "../output/outputs.js";
import { artifactsPath, blobFolder, testsPath } from "./call-files.js";

export interface KeptFor {
  readonly stage?: string | undefined;
  readonly task?: string | undefined;
  /** Absent: the last one of each task. */
  readonly attempt?: number | undefined;
  /** Absent: all of them. */
  readonly call?: number | undefined;
}

export interface KeptTest extends AttemptRef, TestCase {
  readonly call: number;
}

type Kept = AttemptRef & {
  readonly call: number;
  readonly files: FilesSummary;
  readonly path: string;
};

export async function* testsOf(
  run: Run,
  outputs: Pick<Outputs, "path">,
  what: KeptFor & { readonly verdict?: TestCase["verdict"] | undefined },
): AsyncGenerator<KeptTest> {
  for (const { files, path, ...ref } of keptBy(run, outputs, what)) {
    if (!files.tests) continue;
    for await (const test of linesOf<TestCase>(testsPath(path, ref.call))) {
      if (what.verdict === undefined || test.verdict === what.verdict) yield { ...ref, ...test };
    }
  }
}

export async function* artifactsOf(
  run: Run,
  outputs: Pick<Outputs, "path">,
  what: KeptFor,
): AsyncGenerator<Artifact> {
  for (const { files, path, ...ref } of keptBy(run, outputs, what)) {
    if (!files.artifacts) continue;
    type Listed = Pick<Artifact, "path" | "bytes" | "sha256" | "executable">;
    for await (const artifact of linesOf<Listed>(artifactsPath(path, ref.call))) {
      yield { ...ref, ...artifact };
    }
  }
}

/** Where an artifact's bytes are; null: they are not there any more. */
export async function blobOf(
  run: Run,
  outputs: Pick<Outputs, "path">,
  { stage, task, attempt, sha256, bytes }: Artifact,
): Promise<string | null> {
  const of = { run: run.id, pipeline: run.pipeline!, attempt: { stage, task, attempt } };
  const path = join(blobFolder(outputs.path(of)), sha256);
  const found = await stat(path).catch(() => null);
  return found?.isFile() && found.size === bytes ? path : null;
}

function* keptBy(run: Run, outputs: Pick<Outputs, "path">, what: KeptFor): Generator<Kept> {
  const { pipeline } = run;
  if (!pipeline) return;
  for (const { ref, task } of eachTask(run)) {
    if (what.stage !== undefined && ref.stage !== what.stage) continue;
    if (what.task !== undefined && ref.task !== what.task) continue;
    const attempt = what.attempt ?? task.attempts.length;
    for (const [call, files] of Object.entries(task.attempts[attempt - 1]?.files ?? {})) {
      if (what.call !== undefined && Number(call) !== what.call) continue;
      const attemptRef = { ...ref, attempt };
      const path = outputs.path({ run: run.id, pipeline, attempt: attemptRef });
      yield { ...attemptRef, call: Number(call), files, path };
    }
  }
}

/** Written by this program; a line that a killed boss has left half is none. */
async function* linesOf<T>(path: string): AsyncGenerator<T> {
  const input = createReadStream(path);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.endsWith("}")) yield JSON.parse(line) as T;
    }
  } catch (error) {
    // With nothing to list there is no list.
    if (!asError(error).message.startsWith("ENOENT")) throw error;
  } finally {
    input.destroy();
  }
}
