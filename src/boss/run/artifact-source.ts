// What earlier tasks of a run have left, as the source of a command: their artifacts are on the boss already, so they
// travel to a worker like any other tree.

import { createReadStream } from "node:fs";
import { selectTasks, type TaskRef, taskLabel } from "../../model/pipeline.js";
import { eachTask, type Run } from "../../model/run.js";
import { hashOf, type Manifest, type TreeEntry } from "../../source/manifest.js";
import type { OutgoingTree } from "../../wire/send-tree.js";
import type { LeftBy } from "../../wire/source.js";
import type { Outputs } from "../output/outputs.js";
import { artifactsOf, blobOf } from "./kept-files.js";
import { SourceTrouble } from "./source-trouble.js";

export interface LeftFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly executable?: true;
  /** Where its bytes are; null: they are not there any more. */
  readonly file: string | null;
}

export type LeftFiles = (by: LeftBy) => Promise<LeftFile[]>;

class NothingLeft extends SourceTrouble {
  constructor(task: string, why: string, hint: string) {
    super(`the source is to be what ${task} has left, and ${why}`, hint);
  }
}

export async function leftBy(
  asked: Run,
  past: { readonly run: (id: number) => Run | undefined; readonly outputs: Pick<Outputs, "path"> },
  by: LeftBy,
): Promise<LeftFile[]> {
  const { outputs } = past;
  if (typeof by !== "string") return builtAs(asked, outputs, by.files);
  const name = by;
  let run = asked;
  let found = taskOf(run, name);
  // A run of some tasks again has the sources of the one before, so what the others have left there is what they would now.
  while (!found && run.request.again) {
    const { again } = run.request;
    const before = past.run(again.run);
    if (before?.request.at !== again.at) break;
    run = before;
    found = taskOf(run, name);
  }
  if (!found) throw notThere(asked, name);
  const { stage, task } = found;
  const files: LeftFile[] = [];
  for await (const artifact of artifactsOf(run, outputs, { stage, task })) {
    files.push({ ...artifact, file: await blobOf(run, outputs, artifact) });
  }
  if (files.length === 0) {
    throw new NothingLeft(
      name,
      `that has left no artifacts in ${run === asked ? "this run" : `run ${run.id}, which this one runs again`}`,
      "It must come in an earlier stage, and run its command with artifacts: [...]",
    );
  }
  return files;
}

/** Whichever call of the run has them: they are the same. */
async function builtAs(
  run: Run,
  outputs: Pick<Outputs, "path">,
  name: string,
): Promise<LeftFile[]> {
  for (const { ref, task } of eachTask(run)) {
    for (const [index, { builds = {} }] of task.attempts.entries()) {
      for (const [call, build] of Object.entries(builds)) {
        if (build.kind !== "files" || build.files !== name) continue;
        const files: LeftFile[] = [];
        for await (const artifact of artifactsOf(run, outputs, { ...ref, attempt: index + 1 })) {
          if (artifact.call !== Number(call)) continue;
          files.push({ ...artifact, file: await blobOf(run, outputs, artifact) });
        }
        return files;
      }
    }
  }
  throw new SourceTrouble(
    "the source is to be what build(...) has given, and this run has built nothing of the kind",
    "Call build(...) in the task that needs it: what is built already is there at once",
  );
}

function taskOf(run: Run, name: string): TaskRef | undefined {
  return [...eachTask(run)].find(({ ref }) => taskLabel(ref) === name)?.ref;
}

function notThere({ request, pipeline }: Run, name: string): NothingLeft {
  if (request.only)
    return new NothingLeft(name, "that is not part of this run", `Run it as well: --only ${name}`);
  const asked = pipeline && selectTasks(pipeline, [name]);
  const near = !asked || asked.ok ? [] : asked.suggestions.filter((one) => one.includes("."));
  const there = near.length > 0 ? `. There is: ${near.join(", ")}` : "";
  return new NothingLeft(name, "there is no such task", `Tasks are named "Stage.task"${there}`);
}

/** Of files with the same path the last one counts, and any of them before what is in `base`. */
export function treeWith(files: readonly LeftFile[], base: OutgoingTree | null): OutgoingTree {
  const entries = new Map<string, TreeEntry>();
  for (const entry of base?.manifest ?? []) entries.set(entry.path, entry);
  const places = new Map<string, string>();
  for (const { path: name, bytes, sha256, executable, file } of files) {
    if (file === null) throw new Error(`the artifact ${name} is not kept any more`);
    const path = Buffer.from(name).toString("latin1");
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
      const folder = path.slice(0, at);
      if (entries.get(folder)?.kind !== "dir")
        entries.set(folder, { kind: "dir", path: folder, mode: 0o755 });
    }
    if (entries.get(path)?.kind === "dir") {
      for (const one of entries.keys()) if (one.startsWith(`${path}/`)) entries.delete(one);
    }
    const mode = executable ? 0o755 : 0o644;
    entries.set(path, { kind: "file", path, mode, size: bytes, hash: sha256 });
    places.set(sha256, file);
  }
  const manifest: Manifest = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    hash: hashOf(manifest),
    manifest,
    since: null,
    read: (entry) => {
      const file = places.get(entry.hash);
      if (file !== undefined) return createReadStream(file);
      if (!base) throw new Error(`${entry.path} is no artifact`);
      return base.read(entry);
    },
  };
}
