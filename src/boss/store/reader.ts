// Looks at a history file that may be in use by a boss, and changes nothing in it.

import { openSqliteFile } from "../../lib/sqlite.js";
import type { RunEvent } from "../../model/events.js";
import { GrowingRun } from "../../model/growing-run.js";
import { newRun, type Run } from "../../model/run.js";
import { summarizeRun } from "../../model/run-summary.js";
import { migrations } from "./migrations.js";

type Row = Readonly<Record<string, string | number | null>>;

export interface HistoryReader {
  /** What SQLite itself finds wrong with the file; empty: nothing. */
  damage(): string[];
  runIds(): number[];
  /** In order, a few at a time. */
  events(run: number): Generator<RunEvent>;
  /** Undefined where there is no such run. Throws where its events cannot be read. */
  run(id: number): Run | undefined;
  /** Where the list of runs says other than the events do. */
  disagreements(): string[];
  close(): void;
}

/** Throws with a sentence where the file is of a newer bettertest, or is no history. */
export function openHistoryReader(path: string): HistoryReader {
  const database = openSqliteFile(path, { fileMustExist: true });
  try {
    database.exec("PRAGMA busy_timeout = 2000; PRAGMA query_only = 1");
    const version = Number(
      (database.prepare("PRAGMA user_version").all() as Row[])[0]?.user_version,
    );
    if (version > migrations.length) {
      throw new Error(
        `${path} was written by a newer bettertest (its version is ${version}, this one knows ${migrations.length}). Upgrade`,
      );
    }
    database.prepare("SELECT 1 FROM runs, events LIMIT 1").all();
  } catch (error) {
    database.close();
    const message = error instanceof Error ? error.message : String(error);
    if (/newer/.test(message)) throw error;
    throw new Error(`${path} is no bettertest history, or a damaged one (${message})`);
  }
  const rows = (sql: string) => {
    const statement = database.prepare<(string | number)[]>(sql);
    return (...values: (string | number)[]) => statement.all(...values) as Row[];
  };
  const runRows = rows("SELECT id, finished, summary FROM runs ORDER BY id");
  const eventRows = rows(
    "SELECT seq, event FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT 500",
  );
  const strayRows = rows(
    "SELECT run, count(*) AS events FROM events WHERE run NOT IN (SELECT id FROM runs) GROUP BY run",
  );

  function* events(id: number): Generator<RunEvent> {
    for (let after = 0; ; ) {
      const batch = eventRows(id, after);
      if (batch.length === 0) return;
      for (const row of batch) yield JSON.parse(String(row.event)) as RunEvent;
      after = Number(batch.at(-1)!.seq);
    }
  }

  function run(id: number): Run | undefined {
    let found: GrowingRun | undefined;
    for (const event of events(id)) {
      if (found) found.apply(event);
      else if (event.type === "run-created") found = new GrowingRun(newRun(id, event));
      else throw new Error(`its first event is ${event.type}`);
    }
    return found?.now();
  }

  return {
    damage: () =>
      (database.prepare("PRAGMA integrity_check").all() as Row[])
        .map((row) => String(row.integrity_check))
        .filter((line) => line !== "ok"),
    runIds: () => runRows().map((row) => Number(row.id)),
    events,
    run,

    disagreements() {
      const found: string[] = [];
      for (const { id, finished, summary } of runRows()) {
        try {
          const folded = run(Number(id));
          if (!folded) found.push(`run ${id} has no events`);
          else if ((folded.finishedAt !== null) !== (finished === 1)) {
            found.push(
              `run ${id} is ${folded.status} by its events, and not so in the list of runs`,
            );
          } else if (finished === 1 && !sameJson(summarizeRun(folded), String(summary))) {
            found.push(`run ${id}: the list of runs says other than its events do`);
          }
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          found.push(`run ${id}: its events cannot be read: ${why}`);
        }
      }
      for (const { run: id, events: count } of strayRows()) {
        found.push(`${count} events belong to run ${id}, which is not in the list of runs`);
      }
      return found;
    },

    close: () => database.close(),
  };
}

/** A field that an older version did not know may be missing. */
function sameJson(summary: object, stored: string): boolean {
  const known = JSON.parse(stored) as Record<string, unknown>;
  return Object.entries(summary).every(
    ([key, value]) => !(key in known) || JSON.stringify(known[key]) === JSON.stringify(value),
  );
}
