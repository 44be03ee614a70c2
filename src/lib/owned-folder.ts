// A folder that belongs to one process: spool files of a worker, outputs of a boss. It goes when its owner
// removes it; that of an owner that was killed goes when the next one makes its own.

import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeFolder } from "./make-folder.js";
import { currentOwner, isDead, ownerKey, parseOwnerKey } from "./owner.js";

export interface OwnedFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/** `leave`: called with a folder before it is removed that a killed owner has left. */
export async function makeOwnedFolder(
  kind: string,
  parent = tmpdir(),
  leave: (path: string) => Promise<void> = async () => {},
): Promise<OwnedFolder> {
  const prefix = `bettertest-${kind}_`;
  await makeFolder(parent, 0o777);
  await removeLeftovers(parent, prefix, leave);
  const path = await mkdtemp(join(parent, `${prefix}${ownerKey(currentOwner())}_`));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

async function removeLeftovers(
  parent: string,
  prefix: string,
  leave: (path: string) => Promise<void>,
) {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const owner = parseOwnerKey(name.slice(prefix.length, name.lastIndexOf("_")));
    if (!owner || !isDead(owner)) continue;
    // Another process that starts now may be at it too, or another user may own it.
    await leave(join(parent, name));
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {});
  }
}
