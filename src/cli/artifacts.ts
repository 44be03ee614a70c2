// `bettertest artifacts`: what a run's commands have left. Their names are the commands' choice, so no name may
// lead out of the folder that was asked for, and nothing that is there already is touched or gone through.

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { asError } from "../lib/as-error.js";
import { formatBytes } from "../lib/units.js";
import { exitCodes } from "../model/exit-code.js";
import { selectTasks, taskKey, taskLabel } from "../model/pipeline.js";
import type { Artifact } from "../model/test-results.js";
import { count, oneLine } from "../terminal/text.js";
import type { BossClient } from "../wire/boss-client.js";
import { isSafePath } from "../wire/file-pack.js";
import { printJson } from "./boss-access.js";
import { usageError } from "./cli-error.js";

interface ArtifactsOptions {
  readonly task: string | undefined;
  /** A folder to download them into. */
  readonly out: string | undefined;
  readonly json: boolean;
}

export async function listArtifacts(
  client: BossClient,
  id: number,
  { task, out, json }: ArtifactsOptions,
): Promise<number> {
  let { artifacts } = await client.artifacts(id);
  if (task !== undefined) {
    const { run } = await client.run(id);
    if (!run.pipeline) throw usageError(`run ${id} has not loaded its pipedef yet`);
    const selection = selectTasks(run.pipeline, [task]);
    if (!selection.ok) {
      const names = selection.suggestions.join(", ");
      throw usageError(`run ${id} has no stage or task "${task}"`, `There is: ${names}`);
    }
    const chosen = new Set(selection.tasks.map(taskKey));
    artifacts = artifacts.filter((artifact) => chosen.has(taskKey(artifact)));
  }
  if (out === undefined) {
    if (json) printJson({ run: id, artifacts });
    else printList(id, artifacts);
    return exitCodes.passed;
  }
  const refused: { readonly path: string; readonly why: string }[] = [];
  const saved: string[] = [];
  for (const { artifact, isAgain } of inOrder(artifacts)) {
    try {
      saved.push(await save(client, id, { artifact, isAgain }, out));
    } catch (error) {
      refused.push({ path: artifact.path, why: asError(error).message });
    }
  }
  if (json) printJson({ run: id, folder: out, saved, refused });
  else {
    for (const { path, why } of refused) {
      process.stderr.write(`bettertest: ${oneLine(path)} was not saved: ${oneLine(why)}\n`);
    }
    process.stdout.write(`${count(saved.length, "file")} of run ${id} in ${oneLine(out)}\n`);
  }
  return refused.length === 0 ? exitCodes.passed : exitCodes.errored;
}

function printList(id: number, artifacts: readonly Artifact[]): void {
  if (artifacts.length === 0) {
    process.stdout.write(`run ${id} has left no artifacts\n`);
    return;
  }
  for (const { artifact, isAgain } of inOrder(artifacts)) {
    const { path, bytes, call } = artifact;
    const size = formatBytes(bytes).padStart(10);
    const whose = `${taskLabel(artifact)}${isAgain ? ` (call ${call})` : ""}`;
    process.stdout.write(`${size}  ${oneLine(whose)}  ${oneLine(path)}\n`);
  }
}

interface Placed {
  readonly artifact: Artifact;
  /** A command before it, of the same task, has left one of the same path. */
  readonly isAgain: boolean;
}

function inOrder(artifacts: readonly Artifact[]): Placed[] {
  const seen = new Set<string>();
  return artifacts.map((artifact) => {
    const name = JSON.stringify([taskKey(artifact), artifact.attempt, artifact.path]);
    const isAgain = seen.has(name);
    seen.add(name);
    return { artifact, isAgain };
  });
}

/** Gives the path below `out` that it was saved at. */
async function save(
  client: BossClient,
  run: number,
  { artifact, isAgain }: Placed,
  out: string,
): Promise<string> {
  const { path, bytes, sha256, call } = artifact;
  if (!isSafePath(path) || !Number.isSafeInteger(call)) throw new Error("its name leads elsewhere");
  // No task's folder has a comma in its name.
  const folderOfCall = `${folderName(taskLabel(artifact))}${isAgain ? `,call-${call}` : ""}`;
  const parts = [folderOfCall, ...path.split("/")];
  await mkdir(out, { recursive: true });
  let folder = out;
  for (const part of parts.slice(0, -1)) {
    folder = join(folder, part);
    await mkdir(folder).catch(() => {});
    // A link would lead elsewhere, wherever it came from.
    if (!(await lstat(folder)).isDirectory()) throw new Error(`${folder} is no folder`);
  }
  const full = join(folder, parts.at(-1)!);
  const file = await open(
    full,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o666,
  ).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "EEXIST" ? new Error(`${full} is there already`) : error;
  });
  const hash = createHash("sha256");
  let came = 0;
  try {
    for await (const chunk of client.artifact(run, artifact)) {
      came += chunk.length;
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    if (came !== bytes || hash.digest("hex") !== sha256) {
      throw new Error("what came is not what was kept");
    }
  } catch (error) {
    await rm(full, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return join(...parts);
}

/** A task's name may hold anything. */
function folderName(label: string): string {
  const plain = label.replace(/[^\p{L}\p{N} ._@+-]/gu, "_").slice(0, 200);
  return /^\.*$/.test(plain) ? "_" : plain;
}
