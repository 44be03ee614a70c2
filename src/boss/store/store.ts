// What the boss remembers. One contract suite runs over every implementation.

import type { LoggedEvent, RunEvent } from "../../model/events.js";
import type { StageResults } from "../../model/results.js";
import type { Run } from "../../model/run.js";
import type { RunSummary } from "../../model/run-summary.js";

/**
 * Order: open by the implementation's own function, then any calls, then close. An event is stored when
 * append returns, or `storedSeq` says that it is later; only then may anybody be told of it. Everything
 * answers from memory or a local file, so the calls are synchronous: no reader can see a run between two events.
 */
export interface Store {
  /**
   * Ids of runs that have not ended, oldest first: after a crash, those it interrupted. One that is damaged is
   * complained of and left out: it must not keep the others.
   */
  unfinished(complain?: (problem: string) => void): number[];
  /** A fresh run id: whole numbers from 1, never used twice. */
  nextRunId(): number;
  append(run: number, event: RunEvent): LoggedEvent;
  /** A whole run that has ended elsewhere: all of it or nothing. */
  add(run: number, events: readonly RunEvent[]): void;
  /** Events after `seq`, oldest first: of one run, or of all. */
  events(query: {
    readonly run?: number;
    readonly after: number;
    readonly limit: number;
  }): LoggedEvent[];
  /** The newest event's number; 0 where there is none. */
  lastSeq(): number;
  /** Like lastSeq, of those that are stored for good: fewer where `unwritable` says why. */
  storedSeq(): number;
  /** Looking at a run of many tasks makes its next event cost as much as it has tasks. */
  run(id: number): Run | undefined;
  /** Like run, as far as it is stored for good: what anybody may be told. */
  shown(id: number): Run | undefined;
  /** False too where there is no such run. */
  hasEnded(id: number): boolean;
  /** Shown: how the tasks of a run ended; of one that has not ended, how they stand. Empty where there is no such run. */
  results(id: number): readonly StageResults[];
  /** Shown, newest first; `before` is exclusive. */
  runs(query: {
    readonly before?: number;
    readonly limit: number;
    readonly pipeline?: string;
  }): RunSummary[];
  /** Runs that have ended, oldest first. */
  ended(): EndedRun[];
  /** Forgets a run that has ended, with its events. Its number is not given again. */
  remove(id: number): void;
  /** There was a run of that number, or nearly, and there will be none. */
  isGone(id: number): boolean;
  /** Why the last write failed, in a sentence; null where it went well. Events told since are kept in memory. */
  unwritable(): string | null;
  /** Tries again, and stores what could not be stored. */
  retry(): void;
  close(): void;
}

export interface EndedRun {
  readonly id: number;
  readonly finishedAt: number;
  readonly pinned: boolean;
}

/** The disk is full, or another program holds the file. It may pass. */
export class HistoryUnwritable extends Error {}
