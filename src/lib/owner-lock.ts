// Who uses a folder: one process at a time. The lock is the system's own, by way of SQLite, so it goes with its process,
// however that ends, and holds between containers and hosts that cannot see each other's processes. A note beside it
// says who has it, for people.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { asError } from "./as-error.js";
import { codeOf } from "./code-of.js";
import { currentOwner, isAlive, type Owner, ownerKey, parseOwnerKey } from "./owner.js";
import { openSqliteFile, type SqliteFile } from "./sqlite.js";

export type Lock =
  | { readonly ok: true; release(): void }
  | { readonly ok: false; owner: Owner | null };

/** Throws with a sentence where nothing can be locked there. */
export function takeLock(path: string): Lock {
  const owner = readOwner(path);
  // Before there was a lock, the note was all there was.
  if (owner && isAlive(owner)) return { ok: false, owner };
  const release = hold(`${path}.held`);
  if (!release) return { ok: false, owner };
  try {
    writeFileSync(path, ownerKey(currentOwner()));
  } catch {
    // The disk is full. Nobody needs it but the message of whoever comes second.
  }
  return {
    ok: true,
    release() {
      rmSync(path, { force: true });
      release();
    },
  };
}

/** Null: another process has it. The file stays empty. */
function hold(path: string): (() => void) | null {
  let database: SqliteFile | undefined;
  try {
    database = openSqliteFile(path);
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    if (codeOf(error) === "SQLITE_BUSY") return null;
    throw new Error(`${path} cannot be locked: ${asError(error).message}`, { cause: error });
  }
  return () => {
    database.exec("ROLLBACK");
    database.close();
  };
}

function readOwner(path: string): Owner | null {
  try {
    return parseOwnerKey(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}
