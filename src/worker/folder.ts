// The worker's own folder: spool files, and the working directories of the process executor. It goes when
// the worker stops; that of a killed worker goes when the next one starts.

import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { currentOwner, isDead, ownerKey, parseOwnerKey } from "./owner.js";

const prefix = "bettertest-worker_";

export interface WorkerFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function makeWorkerFolder(dataDir = tmpdir()): Promise<WorkerFolder> {
  await mkdir(dataDir, { recursive: true });
  await removeLeftovers(dataDir);
  const path = await mkdtemp(join(dataDir, `${prefix}${ownerKey(currentOwner())}_`));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

async function removeLeftovers(dataDir: string) {
  for (const name of await readdir(dataDir)) {
    if (!name.startsWith(prefix)) continue;
    const owner = parseOwnerKey(name.slice(prefix.length, name.lastIndexOf("_")));
    if (!owner || !isDead(owner)) continue;
    // Another worker that starts now may be at it too, or another user may own it.
    await rm(join(dataDir, name), { recursive: true, force: true }).catch(() => {});
  }
}
