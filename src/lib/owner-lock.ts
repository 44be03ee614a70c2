// A file that says which process uses something. That of a process that was killed counts for nothing.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { currentOwner, isDead, type Owner, ownerKey, parseOwnerKey } from "./owner.js";

export type Lock =
  | { readonly ok: true; release(): void }
  | { readonly ok: false; owner: Owner | null };

export function takeLock(path: string): Lock {
  // Twice is enough: once to find a dead owner's file, once to write our own.
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(path, ownerKey(currentOwner()), { flag: "wx" });
      return { ok: true, release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = readOwner(path);
    if (owner && !isDead(owner)) return { ok: false, owner };
    // Unreadable: another process is writing it this moment, or it was cut off by a crash.
    if (owner || attempt > 0) rmSync(path, { force: true });
  }
  return { ok: false, owner: readOwner(path) };
}

function readOwner(path: string): Owner | null {
  try {
    return parseOwnerKey(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}
