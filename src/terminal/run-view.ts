// What the command line can do with a run's events. Two views of one kind: lines, and a live picture.

import type { AttemptRef, LoggedEvent } from "../model/events.js";
import type { TaskRef } from "../model/pipeline.js";
import type { Run } from "../model/run.js";
import type { Style } from "./style.js";

/** Order: event for each event, after it was applied; then finish, once. */
export interface RunView {
  event(logged: LoggedEvent, run: Run): void;
  /** Resolves when everything is on the terminal. */
  finish(run: Run): Promise<void>;
  /** Leaves the terminal as it was found, at once; for an exit without a finish. */
  abandon(): void;
}

export type OutputChoice = "all" | "failed" | "none";

export interface RunViewOptions {
  readonly out: NodeJS.WriteStream;
  readonly style: Style;
  /** Which tasks' output is shown when they end. */
  readonly output: OutputChoice;
  /** All that an ended attempt printed. */
  readonly readOutput: (ref: AttemptRef) => AsyncIterable<Uint8Array>;
  /** The command that runs just this task again. */
  readonly rerunCommand: (ref: TaskRef) => string;
  /** Where the tasks run: "docker, 2 slots". */
  readonly where: string;
  /** The pipedef, as a person would type it. */
  readonly pipedef: string;
}

/** Piped output has no width; this is what logs are read in. */
export const plainWidth = 80;
