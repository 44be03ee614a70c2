// The shape of the history file, step by step. A step that was released is never changed; a new one is added.

import type { SqliteFile } from "../../lib/sqlite.js";

export const migrations: readonly string[] = [
  `CREATE TABLE runs (
     id INTEGER PRIMARY KEY,
     pipeline TEXT NOT NULL,
     finished INTEGER NOT NULL,
     summary TEXT NOT NULL
   ) STRICT;
   CREATE INDEX runs_under_way ON runs (id) WHERE finished = 0;
   CREATE TABLE events (
     seq INTEGER PRIMARY KEY,
     run INTEGER NOT NULL,
     event TEXT NOT NULL
   ) STRICT;
   CREATE INDEX events_of_run ON events (run, seq);
   CREATE TABLE counters (run INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;
   INSERT INTO counters VALUES (0, 0);`,
  // How the tasks of a run ended, in one piece: history pages look at many runs at once.
  `CREATE TABLE results (run INTEGER PRIMARY KEY, results TEXT NOT NULL) STRICT;`,
];

/** Brings the file to the newest shape; all of it or nothing. */
export function migrate(database: SqliteFile, path: string, steps = migrations): void {
  const [row] = database.prepare("PRAGMA user_version").all() as { user_version: number }[];
  const version = row!.user_version;
  if (version > steps.length) {
    throw new Error(
      `${path} was written by a newer bettertest (its version is ${version}, this one knows ${steps.length}). Upgrade, or choose another --data`,
    );
  }
  for (let step = version; step < steps.length; step++) {
    database.exec("BEGIN IMMEDIATE");
    try {
      database.exec(`${steps[step]} PRAGMA user_version = ${step + 1}; COMMIT;`);
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  }
}
