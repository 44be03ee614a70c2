// What the page knows. Nothing here can be changed but by update().

import type { LoggedEvent } from "../src/model/events.js";
import type { TaskRef } from "../src/model/pipeline.js";
import { eachTask, findTask, isFinished, type Run, type TaskState } from "../src/model/run.js";
import type { PipelineView, RunSummary, WorkerView } from "../src/wire/boss.js";
import { emptyOutput, type OutputText } from "./output-text.js";
import type { Route } from "./route.js";

export interface State {
  readonly connection: "connecting" | "open" | "lost";
  /** Grows with every connection: what an earlier one brought is asked for again. */
  readonly generation: number;
  /** Null until the boss has told. */
  readonly pipelines: readonly PipelineView[] | null;
  readonly workers: readonly WorkerView[] | null;
  /** By run id. */
  readonly runs: ReadonlyMap<number, RunEntry>;
  readonly runsLoaded: boolean;
  /** Events that came before the list of runs did. */
  readonly early: readonly LoggedEvent[];
  readonly route: Route;
  readonly output: OutputState | null;
  /** Why the last thing that was asked for was not done. */
  readonly problem: string | null;
  readonly now: number;
}

export interface RunEntry {
  readonly id: number;
  /** Null where only its number is known, from the address. */
  readonly summary: RunSummary | null;
  readonly run: Run | null;
  /** The last event that is in `run`. */
  readonly seq: number;
  /** Events that came while the run itself was on its way. */
  readonly pending: readonly LoggedEvent[];
  /** Why the boss cannot give it. */
  readonly missing: string | null;
}

export interface OutputState {
  readonly key: string;
  readonly text: OutputText;
  readonly status: "loading" | "live" | "ended" | "failed";
  readonly problem: string | null;
}

/** One attempt's output, as asked for: a new key is a new stream. */
export interface OutputWish {
  readonly key: string;
  readonly run: number;
  readonly ref: TaskRef;
  readonly attempt: number;
}

export const maxRuns = 50;

export function initialState(route: Route, now: number): State {
  return {
    connection: "connecting",
    generation: 0,
    pipelines: null,
    workers: null,
    runs: new Map(),
    runsLoaded: false,
    early: [],
    route,
    output: null,
    problem: null,
    now,
  };
}

export function newOutput(key: string): OutputState {
  return { key, text: emptyOutput, status: "loading", problem: null };
}

/** Newest first. */
export function listedRuns(state: State): RunSummary[] {
  return [...state.runs.values()]
    .flatMap(({ summary }) => (summary ? [summary] : []))
    .sort((a, b) => b.id - a.id)
    .slice(0, maxRuns);
}

export function shownRun(state: State): RunEntry | null {
  return state.route.page === "run" ? (state.runs.get(state.route.run) ?? null) : null;
}

/** The task the reader chose; else the one that turned red first, which is what they came for. */
export function shownTask(state: State): { ref: TaskRef; task: TaskState } | null {
  const run = shownRun(state)?.run;
  if (!run || state.route.page !== "run") return null;
  const { task: chosen } = state.route;
  if (chosen) {
    const task = findTask(run, chosen);
    return task ? { ref: chosen, task } : null;
  }
  let first: { ref: TaskRef; task: TaskState; at: number } | null = null;
  for (const { ref, task } of eachTask(run)) {
    if (task.status !== "failed" && task.status !== "errored") continue;
    const at = task.attempts.at(-1)?.finishedAt ?? 0;
    if (!first || at < first.at) first = { ref, task, at };
  }
  return first;
}

// What should be under way in this state; effects.ts starts and ends it accordingly.

/** Runs to fetch whole. */
export function wantedRuns(state: State): number[] {
  if (state.connection !== "open" || !state.runsLoaded) return [];
  const shown = state.route.page === "run" ? state.route.run : null;
  return [...state.runs.values()]
    .filter(({ run, missing }) => run === null && missing === null)
    .filter(({ id, summary }) => id === shown || summary?.finishedAt === null)
    .map(({ id }) => id);
}

export function wantedOutput(state: State): OutputWish | null {
  const shown = shownTask(state);
  if (!shown || state.route.page !== "run" || state.connection !== "open") return null;
  const attempt = shown.task.attempts.length;
  if (attempt === 0) return null;
  const { run } = state.route;
  const key = JSON.stringify([state.generation, run, shown.ref.stage, shown.ref.task, attempt]);
  return { key, run, ref: shown.ref, attempt };
}

export function wantsClock(state: State): boolean {
  const runs = [...state.runs.values()];
  return runs.some(({ run, summary }) => (run ? !isFinished(run) : summary?.finishedAt === null));
}
