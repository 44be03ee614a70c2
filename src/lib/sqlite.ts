// SQLite, loaded when the first file is opened: its driver takes a fifteenth of a second, and many a run needs none.

import { createRequire } from "node:module";
import type Database from "libsql";

export type SqliteFile = Database.Database;

let driver: typeof Database | undefined;

export function openSqliteFile(path: string, options?: Database.Options): SqliteFile {
  driver ??= load();
  return new driver(path, options);
}

function load(): typeof Database {
  // It has a report made of this process, to see which C library there is, and that would look up the names of all the
  // machine's network addresses. Node 20's types do not know it.
  Object.assign(process.report, { excludeNetwork: true });
  return createRequire(import.meta.url)("libsql");
}
