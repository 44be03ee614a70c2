// History in one SQLite file. All SQL of the boss is here and in migrations.ts.

import { asError } from "../../lib/as-error.js";
import { codeOf } from "../../lib/code-of.js";
import { takeLock } from "../../lib/owner-lock.js";
import { openSqliteFile, type SqliteFile } from "../../lib/sqlite.js";
import type { LoggedEvent, RunEvent } from "../../model/events.js";
import { GrowingRun } from "../../model/growing-run.js";
import { resultsOf, type StageResults } from "../../model/results.js";
import { applyEvent, applyEvents, isFinished, newRun, type Run } from "../../model/run.js";
import { type RunSummary, summarizeRun } from "../../model/run-summary.js";
import { migrate } from "./migrations.js";
import { HistoryUnwritable, type Store } from "./store.js";

/** Folds of ended runs that somebody looked at lately; those under way are always kept. */
const keptFolds = 20;

/** After a failed write, for the next one. */
const retryPauseMs = 500;

/** What SQLite can hold. Anything else ends the process inside the driver, so nothing else may reach it. */
type Value = string | number | null;

/**
 * Throws with a sentence for the user where the file is of a newer bettertest, is no database, or is in use
 * by another boss. `onTrouble` is told whenever a write has failed.
 */
export function openSqliteStore(
  path: string,
  { onTrouble = () => {} }: { readonly onTrouble?: () => void } = {},
): Store {
  // One boss a file: a second one would number its runs alike.
  const lock = takeLock(`${path}.lock`);
  if (!lock.ok) {
    const by = lock.owner ? ` (process ${lock.owner.pid})` : "";
    throw new Error(
      `${path} is in use by another boss${by}. Stop that one, or give this one a folder of its own with --data`,
    );
  }
  let database: SqliteFile;
  try {
    database = openDatabase(path);
  } catch (error) {
    lock.release();
    throw error;
  }
  // Each prepared statement keeps memory of its own until the end, so each is prepared once.
  const statement = (sql: string) => {
    const prepared = database.prepare<Value[]>(sql);
    return {
      run: (...values: Value[]) => prepared.run(...values),
      all: (...values: Value[]) => prepared.all(...values) as Record<string, Value>[],
    };
  };
  const insertRun = statement(
    "INSERT INTO runs (id, pipeline, finished, summary) VALUES (?, ?, 0, ?)",
  );
  const updateRun = statement("UPDATE runs SET finished = ?, summary = ? WHERE id = ?");
  const insertEvent = statement("INSERT INTO events (seq, run, event) VALUES (?, ?, ?)");
  const eventsOfAll = statement(
    "SELECT seq, run, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
  );
  const eventsOfRun = statement(
    "SELECT seq, run, event FROM events WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?",
  );
  const newest = statement(
    "SELECT summary FROM runs WHERE id < ? AND (?2 IS NULL OR pipeline = ?2) ORDER BY id DESC LIMIT ?3",
  );
  const unfinished = statement("SELECT id FROM runs WHERE finished = 0 ORDER BY id");
  const endedRuns = statement(
    `SELECT id, json_extract(summary, '$.finishedAt') AS finishedAt,
       coalesce(json_extract(summary, '$.pinned'), 0) AS pinned
     FROM runs WHERE finished = 1 ORDER BY id`,
  );
  const deleteEvents = statement(
    "DELETE FROM events WHERE run = (SELECT id FROM runs WHERE id = ? AND finished = 1)",
  );
  const deleteRun = statement("DELETE FROM runs WHERE id = ? AND finished = 1");
  const runOfId = statement("SELECT 1 FROM runs WHERE id = ?");
  const insertResults = statement("INSERT OR REPLACE INTO results (run, results) VALUES (?, ?)");
  const resultsOfRun = statement("SELECT results FROM results WHERE run = ?");
  const deleteResults = statement(
    "DELETE FROM results WHERE run = ? AND NOT EXISTS (SELECT 1 FROM runs WHERE id = run)",
  );
  const keepCounters = statement("UPDATE counters SET run = ?, seq = ?");

  const [counters] = statement("SELECT run, seq FROM counters").all();
  let lastRunId = Number(counters!.run);
  let lastSeq = Math.max(
    Number(counters!.seq),
    Number(statement("SELECT coalesce(max(seq), 0) AS seq FROM events").all()[0]!.seq),
  );

  const live = new Map<number, GrowingRun>();
  const ended = new Map<number, Run>();

  /** Not stored yet, and so told to nobody, since the disk is full or the file is locked. The runs they end stay live. */
  let unsaved: Unsaved[] = [];
  /** The runs of those, as they were before. */
  const shown = new Map<number, Run>();

  let unwritable: string | null = null;
  let triedAt = 0;

  /** Turns trouble that may pass into a sentence, and remembers it. */
  function orSaying(write: () => void): void {
    triedAt = performance.now();
    try {
      write();
      unwritable = null;
    } catch (error) {
      if (!isPassing(error)) throw error;
      const words = error instanceof Error ? error.message : String(error);
      unwritable = `${path} cannot be written: ${words}. Is the disk full?`;
      onTrouble();
      throw new HistoryUnwritable(unwritable);
    }
  }

  function saveOrSay(): void {
    // Where another program has the file, each try takes seconds in which the whole boss stands still.
    if (unwritable !== null && performance.now() - triedAt < retryPauseMs) {
      throw new HistoryUnwritable(unwritable);
    }
    orSaying(save);
  }

  function save() {
    if (unsaved.length === 0) return;
    // The first and the last event change the list of runs too: a boss killed between the two would keep a
    // run that nobody finds, or end one twice.
    const write = () =>
      allOrNothing(database, () => {
        for (const { write } of unsaved) write();
      });
    // With it all that came before is on the disk, for good.
    if (unsaved.some(({ logged }) => logged.event.type === "run-finished"))
      withoutDelay(database, write);
    else write();
    for (const { logged } of unsaved) {
      const run = live.get(logged.run);
      if (run?.hasEnded) keepEnded(run.now());
    }
    unsaved = [];
    shown.clear();
  }

  function keepEnded(run: Run) {
    live.delete(run.id);
    ended.delete(run.id);
    ended.set(run.id, run);
    if (ended.size > keptFolds) ended.delete(ended.keys().next().value!);
  }

  function find(id: number): Run | undefined {
    const known = live.get(id)?.now() ?? ended.get(id);
    if (known) return known;
    const [created, ...later] = eventsOfRun.all(id, 0, -1).map((row) => parse<RunEvent>(row.event));
    if (created?.type !== "run-created") return undefined;
    const run = applyEvents(newRun(id, created), later);
    if (isFinished(run)) keepEnded(run);
    else live.set(id, new GrowingRun(run));
    return run;
  }

  function growing(id: number): GrowingRun | undefined {
    const known = live.get(id);
    if (known) return known;
    const run = find(id);
    return run && (live.get(id) ?? new GrowingRun(run));
  }

  return {
    nextRunId() {
      lastRunId += 1;
      orSaying(() => allOrNothing(database, () => keepCounters.run(lastRunId, lastSeq)));
      return lastRunId;
    },

    append(id, event) {
      const before = growing(id);
      if (!before && event.type !== "run-created") {
        throw new Error(`run ${id} does not exist: its first event must be run-created`);
      }
      const run = before ?? new GrowingRun(newRun(id, event as never));
      // Only these change what is kept of a run beside its events.
      const hasEnded = event.type === "run-finished" || run.hasEnded;
      const ends = hasEnded ? applyEvent(run.now(), event) : null;
      const logged = { seq: lastSeq + 1, run: id, event };
      unsaved.push({
        logged,
        write() {
          insertEvent.run(logged.seq, id, JSON.stringify(event));
          if (!before && event.type === "run-created") {
            const summary = summarizeRun(newRun(id, event));
            insertRun.run(id, event.pipelineName, JSON.stringify(summary));
          }
          if (!ends) return;
          updateRun.run(1, JSON.stringify(summarizeRun(ends)), id);
          insertResults.run(id, JSON.stringify(resultsOf(ends)));
        },
      });
      try {
        saveOrSay();
      } catch (error) {
        // A run under way goes on, and ends in order, where the disk is full; a new one is refused.
        if (!before || !isPassing(error)) {
          unsaved.pop();
          throw error;
        }
        if (!shown.has(id)) shown.set(id, before.now());
      }
      lastSeq = logged.seq;
      if (before) run.apply(event);
      if (run.hasEnded && unsaved.length === 0) keepEnded(run.now());
      else live.set(id, run);
      return logged;
    },

    add(id, events) {
      const [created, ...later] = events;
      const added = created?.type === "run-created" && applyEvents(newRun(id, created), later);
      if (!added || !isFinished(added)) throw new Error(`run ${id} has not ended`);
      orSaying(() => {
        save();
        allOrNothing(database, () => {
          events.forEach((event, index) => {
            insertEvent.run(lastSeq + 1 + index, id, JSON.stringify(event));
          });
          insertRun.run(id, added.request.pipelineName, "");
          updateRun.run(1, JSON.stringify(summarizeRun(added)), id);
        });
      });
      lastSeq += events.length;
      keepEnded(added);
    },

    events({ run, after, limit }) {
      const rows =
        run === undefined ? eventsOfAll.all(after, limit) : eventsOfRun.all(run, after, limit);
      const stored = rows.map(
        (row): LoggedEvent => ({
          seq: Number(row.seq),
          run: Number(row.run),
          event: parse<RunEvent>(row.event),
        }),
      );
      const more = unsaved
        .map(({ logged }) => logged)
        .filter((logged) => logged.seq > after && (run === undefined || logged.run === run));
      return more.length === 0 ? stored : [...stored, ...more].slice(0, limit);
    },

    lastSeq: () => lastSeq,
    storedSeq: () => (unsaved[0] ? unsaved[0].logged.seq - 1 : lastSeq),
    unfinished(complain = () => {}) {
      return unfinished.all().flatMap((row) => {
        const id = Number(row.id);
        try {
          if (find(id)) return [id];
          complain(`run ${id} has no first event`);
        } catch (error) {
          complain(`run ${id} cannot be read: ${asError(error).message}`);
        }
        return [];
      });
    },

    run: find,
    shown: (id) => shown.get(id) ?? find(id),

    hasEnded(id) {
      return growing(id)?.hasEnded ?? false;
    },

    results(id) {
      const [row] = resultsOfRun.all(id);
      if (row) return parse<StageResults[]>(row.results);
      // Still under way, or of a time when nobody wrote them down.
      const run = shown.get(id) ?? find(id);
      return run ? resultsOf(run) : [];
    },

    runs({ before = Number.MAX_SAFE_INTEGER, limit, pipeline }) {
      return newest.all(before, pipeline ?? null, limit).map((row) => {
        const stored = parse<RunSummary>(row.summary);
        const current = shown.get(stored.id) ?? live.get(stored.id)?.now();
        return current ? summarizeRun(current) : stored;
      });
    },

    ended: () =>
      endedRuns.all().map((row) => ({
        id: Number(row.id),
        finishedAt: Number(row.finishedAt),
        pinned: row.pinned === 1,
      })),

    remove(id) {
      // The newest numbers may go with it; they must not be given again.
      allOrNothing(database, () => {
        keepCounters.run(lastRunId, lastSeq);
        deleteEvents.run(id);
        deleteRun.run(id);
        deleteResults.run(id);
      });
      ended.delete(id);
    },

    isGone: (id) => id <= lastRunId && runOfId.all(id).length === 0,

    unwritable: () => unwritable,

    retry() {
      try {
        orSaying(() => {
          save();
          allOrNothing(database, () => keepCounters.run(lastRunId, lastSeq));
        });
      } catch (error) {
        if (!isPassing(error)) throw error;
      }
    },

    close() {
      try {
        save();
        allOrNothing(database, () => keepCounters.run(lastRunId, lastSeq));
      } catch (error) {
        // The next boss ends the runs whose last events are missing.
        if (!isPassing(error)) throw error;
      } finally {
        database.close();
        lock.release();
      }
    },
  };
}

interface Unsaved {
  readonly logged: LoggedEvent;
  readonly write: () => void;
}

/** Trouble of the machine that may pass, not a mistake of ours. */
function isPassing(error: unknown): boolean {
  if (error instanceof HistoryUnwritable) return true;
  return /^SQLITE_(FULL|BUSY|LOCKED|IOERR|CANTOPEN|READONLY|CORRUPT|NOTADB)/.test(codeOf(error));
}

function allOrNothing(database: SqliteFile, write: () => void): void {
  // Takes the lock: a prepared statement that cannot have it stays open in this driver, and no later
  // transaction could commit.
  database.exec("BEGIN IMMEDIATE");
  try {
    write();
    database.exec("COMMIT");
  } catch (error) {
    // SQLite has rolled back by itself where the disk is full.
    if (database.inTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

function withoutDelay(database: SqliteFile, write: () => void): void {
  database.exec("PRAGMA synchronous = FULL");
  try {
    write();
  } finally {
    database.exec("PRAGMA synchronous = NORMAL");
  }
}

/** What we have written ourselves, by the types of this very file. */
function parse<T>(value: Value | undefined): T {
  return JSON.parse(String(value)) as T;
}

function openDatabase(path: string): SqliteFile {
  let database: SqliteFile | undefined;
  try {
    database = openSqliteFile(path);
    // First of all: every later statement may meet another process that is just leaving.
    database.exec("PRAGMA busy_timeout = 2000");
    database.exec("PRAGMA journal_mode = WAL");
    // A crash of the boss loses nothing; a crash of the machine may lose the last moments of runs under way.
    database.exec("PRAGMA synchronous = NORMAL");
    migrate(database, path);
    return database;
  } catch (error) {
    database?.close();
    const message = error instanceof Error ? error.message : String(error);
    if (/not a database|malformed/i.test(message)) {
      throw new Error(
        `${path} is no bettertest history (${message}). Move it away, or choose another --data`,
      );
    }
    throw error;
  }
}
