// The one function that changes what the page knows. Pure: the same state and message give the same result.

import type { LoggedEvent } from "../src/model/events.js";
import { applyEvents, isFinished, newRun } from "../src/model/run.js";
import { summarizeRun } from "../src/model/run-summary.js";
import type {
  HealthView,
  HelloView,
  PipelineView,
  QueueView,
  RunSnapshot,
  RunSummary,
  SessionView,
  WorkerView,
} from "../src/wire/boss.js";
import { type Fetched, keepFetched } from "./fetched.js";
import { type Route, runOf } from "./route.js";
import { type RunPageMessage, updateRunPage } from "./run-page.js";
import { maxRuns, type Overlay, type RunEntry, type State } from "./state.js";

export type Message =
  /** The first word of a stream. `resumed`: it goes on where the last one broke off. */
  | {
      readonly type: "connected";
      readonly hello: HelloView;
      readonly resumed: boolean;
      readonly at: number;
    }
  | { readonly type: "disconnected"; readonly at: number }
  | { readonly type: "pipelines-told"; readonly pipelines: readonly PipelineView[] }
  | { readonly type: "workers-told"; readonly workers: readonly WorkerView[] }
  | { readonly type: "queue-told"; readonly queue: QueueView }
  | { readonly type: "health-told"; readonly health: HealthView }
  | { readonly type: "session-told"; readonly session: SessionView }
  | { readonly type: "runs-loaded"; readonly runs: readonly RunSummary[] }
  | { readonly type: "run-loaded"; readonly snapshot: RunSnapshot }
  | { readonly type: "run-missing"; readonly run: number; readonly reason: string }
  /** What came since the page was last drawn. */
  | { readonly type: "run-events"; readonly events: readonly LoggedEvent[] }
  | { readonly type: "fetched"; readonly url: string; readonly answer: Fetched }
  | { readonly type: "route-changed"; readonly route: Route }
  | { readonly type: "run-page"; readonly message: RunPageMessage }
  | { readonly type: "overlay"; readonly overlay: Overlay | null }
  /** Told late by the browser: another may be open by now. */
  | { readonly type: "overlay-closed"; readonly kind: Overlay["kind"] }
  | { readonly type: "watch"; readonly run: number; readonly on: boolean }
  | { readonly type: "asked-in-vain"; readonly reason: string }
  | { readonly type: "problem-dismissed" }
  | { readonly type: "clock-ticked"; readonly now: number };

export function update(state: State, message: Message): State {
  switch (message.type) {
    case "connected": {
      const { instance, seq, now } = message.hello;
      const clock = { now, clockAheadMs: now - message.at };
      const known = { ...state, ...clock, connection: "open", lostAt: null, instance } as const;
      if (message.resumed) return known;
      // The boss may be another one now, with other runs under the same numbers: believe nothing old.
      const generation = state.generation + 1;
      return { ...known, generation, lastSeq: seq, runsLoaded: false, early: [] };
    }
    case "disconnected":
      return { ...state, connection: "lost", lostAt: state.lostAt ?? message.at };
    case "pipelines-told":
      return { ...state, pipelines: message.pipelines };
    case "workers-told":
      return { ...state, workers: message.workers };
    case "queue-told":
      return { ...state, queue: message.queue };
    case "health-told":
      return { ...state, health: message.health };
    case "session-told":
      return { ...state, session: message.session };
    case "runs-loaded": {
      const runs = new Map(message.runs.map((summary) => [summary.id, entryOf(summary)]));
      const loaded = withShownRun({ ...state, runs, runsLoaded: true, early: [] });
      return addEvents(loaded, state.early);
    }
    case "run-loaded":
      return addSnapshot(state, message.snapshot);
    case "run-missing":
      return changeRun(state, message.run, (entry) => ({ ...entry, missing: message.reason }));
    case "run-events": {
      const { events } = message;
      const lastSeq = Math.max(state.lastSeq, events.at(-1)?.seq ?? 0);
      return state.runsLoaded
        ? addEvents({ ...state, lastSeq }, events)
        : { ...state, lastSeq, early: [...state.early, ...events] };
    }
    case "fetched":
      return { ...state, fetched: keepFetched(state.fetched, message.url, message.answer) };
    case "route-changed": {
      const isOther = runOf(message.route) !== runOf(state.route);
      return withShownRun({
        ...state,
        route: message.route,
        problem: isOther ? null : state.problem,
        overlay: null,
      });
    }
    case "run-page":
      return { ...state, runPage: updateRunPage(state.runPage, message.message) };
    case "overlay":
      return { ...state, overlay: message.overlay };
    case "overlay-closed":
      return state.overlay?.kind === message.kind ? { ...state, overlay: null } : state;
    case "watch": {
      const watched = new Set(state.watched);
      if (message.on) watched.add(message.run);
      else watched.delete(message.run);
      return { ...state, watched };
    }
    case "asked-in-vain":
      return { ...state, problem: message.reason };
    case "problem-dismissed":
      return state.problem === null ? state : { ...state, problem: null };
    case "clock-ticked":
      return { ...state, now: message.now };
    default:
      return message satisfies never;
  }
}

/** All at once: what a run of ten thousand tasks costs by the piece is paid once a batch. */
function addEvents(state: State, events: readonly LoggedEvent[]): State {
  if (events.length === 0) return state;
  const runs = new Map(state.runs);
  let hasNew = false;
  for (const [id, own] of byRun(events)) {
    let entry = runs.get(id) ?? unknownRun(id);
    const [first] = own;
    if (entry.run === null && first?.event.type === "run-created") {
      entry = { ...entry, run: newRun(id, first.event), missing: null };
      hasNew = true;
    }
    // Of an older run: it is fetched whole, and these wait for it.
    if (entry.run === null)
      runs.set(id, withPin({ ...entry, pending: [...entry.pending, ...own] }, own));
    else runs.set(id, withEvents(entry, own));
  }
  const next = { ...state, runs };
  return hasNew ? prune(next) : next;
}

/** What may still happen to a run that has ended, and of which only the summary is known. */
function withPin(entry: RunEntry, events: readonly LoggedEvent[]): RunEntry {
  const last = events.findLast(({ event }) => event.type === "pin-changed")?.event;
  if (!entry.summary || last?.type !== "pin-changed") return entry;
  return { ...entry, summary: { ...entry.summary, pinned: last.pinned } };
}

function byRun(events: readonly LoggedEvent[]): Map<number, LoggedEvent[]> {
  const found = new Map<number, LoggedEvent[]>();
  for (const logged of events) {
    const list = found.get(logged.run);
    if (list) list.push(logged);
    else found.set(logged.run, [logged]);
  }
  return found;
}

function addSnapshot(state: State, { run, seq }: RunSnapshot): State {
  const entry = state.runs.get(run.id);
  if (!entry || entry.run) return state;
  const loaded = { ...entry, run, seq, pending: [], missing: null };
  return setRun(state, withEvents(loaded, entry.pending));
}

/** Skips what is known already: a snapshot and the stream of events overlap. */
function withEvents(entry: RunEntry, events: readonly LoggedEvent[]): RunEntry {
  if (!entry.run) return entry;
  const fresh = events.filter(({ seq }) => seq > entry.seq);
  const run = applyEvents(
    entry.run,
    fresh.map(({ event }) => event),
  );
  return { ...entry, run, seq: fresh.at(-1)?.seq ?? entry.seq, summary: summarizeRun(run) };
}

/** Keeps the newest, and of those that have ended only the shown one's details. */
function prune(state: State): State {
  const shown = runOf(state.route);
  const newest = [...state.runs.keys()].sort((a, b) => b - a).slice(0, maxRuns);
  const kept = newest.includes(shown ?? 0) || shown === null ? newest : [...newest, shown];
  const runs = new Map<number, RunEntry>();
  for (const id of kept) {
    const entry = state.runs.get(id);
    if (!entry) continue;
    const isOver = entry.run !== null && isFinished(entry.run) && id !== shown;
    runs.set(id, isOver ? { ...entry, run: null } : entry);
  }
  return { ...state, runs };
}

function withShownRun(state: State): State {
  const shown = runOf(state.route);
  if (shown === null || !state.runsLoaded || state.runs.has(shown)) return state;
  return setRun(state, unknownRun(shown));
}

function unknownRun(id: number): RunEntry {
  return { id, summary: null, run: null, seq: 0, pending: [], missing: null };
}

function entryOf(summary: RunSummary): RunEntry {
  return { ...unknownRun(summary.id), summary };
}

function setRun(state: State, entry: RunEntry): State {
  return { ...state, runs: new Map(state.runs).set(entry.id, entry) };
}

function changeRun(state: State, id: number, change: (entry: RunEntry) => RunEntry): State {
  const entry = state.runs.get(id);
  return entry ? setRun(state, change(entry)) : state;
}
