// What the page knows. Nothing here can be changed but by update().

import type { LoggedEvent } from "../src/model/events.js";
import type { TaskRef } from "../src/model/pipeline.js";
import { eachTask, findTask, isFinished, type Run, type TaskState } from "../src/model/run.js";
import type {
  HealthView,
  PipelineView,
  QueueView,
  RunSnapshot,
  RunSummary,
  SessionView,
  WorkerView,
} from "../src/wire/boss.js";
import { answerTo, type Fetched } from "./fetched.js";
import { type Route, runOf } from "./route.js";
import { initialRunPage, type RunPageState } from "./run-page.js";
import { runUrl, trendUrl } from "./urls.js";

export interface State {
  readonly connection: "connecting" | "open" | "lost";
  /** Since when what is shown may be outdated, by the boss's clock; null while the boss vouches for it. */
  readonly lostAt: number | null;
  readonly lostForMs: number;
  /** Grows whenever nothing that the boss told before may be believed: it is asked for again. */
  readonly generation: number;
  /** Names the boss's process; another one numbers its events anew. */
  readonly instance: string | null;
  /** The newest event that was applied; a broken stream goes on after it. */
  readonly lastSeq: number;
  /** Null until the boss has told. */
  readonly pipelines: readonly PipelineView[] | null;
  readonly workers: readonly WorkerView[] | null;
  readonly queue: QueueView | null;
  readonly health: HealthView | null;
  /** Who the boss takes the reader for. */
  readonly session: SessionView | null;
  /** By run id. */
  readonly runs: ReadonlyMap<number, RunEntry>;
  readonly runsLoaded: boolean;
  /** Events that came before the list of runs did. */
  readonly early: readonly LoggedEvent[];
  /** What pages asked for, by address. */
  readonly fetched: ReadonlyMap<string, Fetched>;
  readonly route: Route;
  readonly runPage: RunPageState;
  readonly overlay: Overlay | null;
  /** Runs whose end the browser shall tell. */
  readonly watched: ReadonlySet<number>;
  /** Why the last thing that was asked for was not done. */
  readonly problem: string | null;
  /** The boss's clock, as far as it is known. While the connection is lost it stands still, as all that is shown. */
  readonly now: number;
  /** How far it is ahead of the reader's. */
  readonly clockAheadMs: number;
}

export type Overlay =
  | { readonly kind: "keys" }
  /** "run": only what can be started. */
  | { readonly kind: "palette"; readonly mode: "all" | "run" };

export interface RunEntry {
  readonly id: number;
  /** Null where only its number is known, from the address. */
  readonly summary: RunSummary | null;
  readonly run: Run | null;
  /** As it was before the boss had to be asked anew; shown until `run` is there. */
  readonly stale: Run | null;
  /** The last event that is in `run`. */
  readonly seq: number;
  /** Events that came while the run itself was on its way. */
  readonly pending: readonly LoggedEvent[];
  /** Why it has not come yet, as far as that is known. */
  readonly problem: string | null;
  /** Why the boss cannot give it. */
  readonly missing: string | null;
}

export const maxRuns = 100;

export function initialState(route: Route, now: number): State {
  return {
    connection: "connecting",
    lostAt: null,
    lostForMs: 0,
    generation: 0,
    instance: null,
    lastSeq: 0,
    pipelines: null,
    workers: null,
    queue: null,
    health: null,
    session: null,
    runs: new Map(),
    runsLoaded: false,
    early: [],
    fetched: new Map(),
    route,
    runPage: initialRunPage,
    overlay: null,
    watched: new Set(),
    problem: null,
    now,
    clockAheadMs: 0,
  };
}

/** Whether the reader may start and cancel; the boss refuses in any case. */
export function mayAct(state: State): boolean {
  return state.session?.access !== "read";
}

/** Newest first; an old one, too, while it goes on. */
export function listedRuns(state: State): RunSummary[] {
  return [...state.runs.values()]
    .flatMap(({ summary }) => (summary ? [summary] : []))
    .sort((a, b) => b.id - a.id)
    .filter(({ finishedAt }, index) => index < maxRuns || finishedAt === null);
}

/** Where the list of runs does not hold all there are, a pipeline may have older ones. */
export function wantsTrends(state: State): boolean {
  return state.runs.size >= maxRuns;
}

/** Without it nobody can say that a pipeline has no runs. */
export function lacksTrend(state: State, pipeline: string): boolean {
  if (!state.runsLoaded) return true;
  return wantsTrends(state) && answerTo(state.fetched, trendUrl(pipeline)) === null;
}

/** Of one pipeline, newest first: those that were told of, and older ones that were fetched besides. */
export function runsOf(state: State, pipeline: string): RunSummary[] {
  const known = new Map<number, RunSummary>();
  for (const run of answerTo<RunSummary[]>(state.fetched, trendUrl(pipeline)) ?? []) {
    known.set(run.id, run);
  }
  for (const { summary } of state.runs.values()) {
    if (summary?.pipeline === pipeline) known.set(summary.id, summary);
  }
  return [...known.values()].sort((a, b) => b.id - a.id);
}

export function shownEntry(state: State): RunEntry | null {
  const id = runOf(state.route);
  return id === null ? null : (state.runs.get(id) ?? null);
}

/** An outdated one only while the page says that it is. */
export function shownRun(state: State): Run | null {
  const entry = shownEntry(state);
  return entry?.run ?? (state.lostAt === null ? null : (entry?.stale ?? null));
}

/** One that goes on as it is by now; one that has ended was fetched for the comparison. */
export function comparedRun(state: State, id: number): Run | null {
  return state.runs.get(id)?.run ?? answerTo<RunSnapshot>(state.fetched, runUrl(id))?.run ?? null;
}

export interface ShownTask {
  readonly ref: TaskRef;
  readonly task: TaskState;
}

/** The task the reader chose; else the one that turned red first, which is what they came for. */
export function shownTask(state: State): ShownTask | null {
  const run = shownRun(state);
  if (!run || state.route.page !== "run") return null;
  const { task: chosen } = state.route;
  if (chosen) {
    const task = findTask(run, chosen);
    return task ? { ref: chosen, task } : null;
  }
  return firstRed(run);
}

const firstReds = new WeakMap<Run, ShownTask | null>();

/** Asked for at every change of the state, so looked for once a run's state. */
function firstRed(run: Run): ShownTask | null {
  const known = firstReds.get(run);
  if (known !== undefined) return known;
  let first: (ShownTask & { at: number }) | null = null;
  for (const { ref, task } of eachTask(run)) {
    if (task.status !== "failed" && task.status !== "errored") continue;
    const at = task.attempts.at(-1)?.finishedAt ?? 0;
    if (!first || at < first.at) first = { ref, task, at };
  }
  firstReds.set(run, first);
  return first;
}

/** Runs to fetch whole; effects.ts does. One that is older than the list, and still heard of, is among them. */
export function wantedRuns(state: State): number[] {
  if (state.connection !== "open" || !state.runsLoaded) return [];
  const shown = runOf(state.route);
  return [...state.runs.values()]
    .filter(({ run, missing }) => run === null && missing === null)
    .filter(({ id, summary }) => id === shown || (summary?.finishedAt ?? null) === null)
    .map(({ id }) => id);
}

/** How often the clock is looked at: half a second counts only in what runs, or is lost. */
export function clockPaceMs(state: State): number {
  const fastMs = 500;
  if (state.lostAt !== null) return fastMs;
  for (const { run, summary } of state.runs.values()) {
    if (run ? !isFinished(run) : summary?.finishedAt === null) return fastMs;
  }
  return 60_000;
}

/** The pipeline that the page is about, or the only one there is. */
export function pipelineOf(state: State): string | null {
  const { route, pipelines } = state;
  if (route.page === "history") return route.pipeline;
  const id = runOf(route) ?? (route.page === "compare" ? route.right : null);
  const shown = id === null ? undefined : state.runs.get(id)?.summary?.pipeline;
  return shown ?? pipelines?.[0]?.name ?? null;
}
