// What earlier tasks of a run have left, as the source of a command: their artifacts are on the boss already, so they
// travel to a worker like any other tree.

import { createReadStream } from "node:fs";
import { eachTask, type Run } from "../../model/run.js";
import { hashOf, type Manifest, type TreeEntry } from "../../source/manifest.js";
import type { OutgoingTree } from "../../wire/send-tree.js";
import type { Outputs } from "../output/outputs.js";
import { artifactsOf, blobOf } from "./kept-files.js";

export interface LeftFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly executable?: true;
  /** Where its bytes are; null: they are not there any more. */
  readonly file: string | null;
}

/** By "Stage.task"; null: there is no such task. */
export type LeftFiles = (task: string) => Promise<LeftFile[] | null>;

export async function leftBy(
  run: Run,
  outputs: Pick<Outputs, "path">,
  name: string,
): Promise<LeftFile[] | null> {
  const found = [...eachTask(run)].find(({ ref }) => `${ref.stage}.${ref.task}` === name);
  if (!found) return null;
  const { stage, task } = found.ref;
  const files: LeftFile[] = [];
  for await (const artifact of artifactsOf(run, outputs, { stage, task })) {
    files.push({ ...artifact, file: await blobOf(run, outputs, artifact) });
  }
  return files;
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
