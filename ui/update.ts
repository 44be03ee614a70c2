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
import { maxRuns, type Overlay, type RunEntry, type State, shownEntry, shownRun } from "./state.js";
import { trendRuns } from "./urls.js";
import { wishesOf } from "./wishes.js";

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
  /** It is asked for again. */
  | { readonly type: "run-delayed"; readonly run: number; readonly reason: string }
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
  return vouched(changed(state, message));
}

/** Once the boss has told anew what is shown, it is not outdated any more. */
function vouched(state: State): State {
  const { lostAt, lostForMs, connection, runsLoaded } = state;
  if (lostAt === null || connection !== "open" || !runsLoaded) return state;
  return shownEntry(state)?.stale
    ? state
    : { ...state, lostAt: null, lostForMs: 0, now: lostAt + lostForMs };
}

function changed(state: State, message: Message): State {
  switch (message.type) {
    case "connected": {
      const { instance, seq, now } = message.hello;
      const { lostAt } = state;
      // What was shown before stays as it was until the boss vouches for it.
      const isShown = lostAt !== null && state.generation > 0;
      const clock = isShown ? { lostForMs: now - lostAt } : { lostAt: null, now };
      const clockAheadMs = now - message.at;
      const known = { ...state, ...clock, clockAheadMs, connection: "open", instance } as const;
      if (message.resumed) return known;
      // The boss may be another one now, with other runs under the same numbers: believe nothing old.
      const generation = state.generation + 1;
      return { ...known, generation, lastSeq: seq, runsLoaded: false, early: [] };
    }
    case "disconnected": {
      const lost = { ...state, connection: "lost" } as const;
      if (state.lostAt !== null) return lost;
      const lostAt = message.at + state.clockAheadMs;
      return { ...lost, lostAt, lostForMs: 0, now: lostAt };
    }
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
      const stale = shownRun(state);
      const fresh = stale && runs.get(stale.id);
      // With another time it is another run, of a boss that numbers them anew.
      if (stale && (fresh?.summary?.createdAt ?? stale.request.at) === stale.request.at)
        runs.set(stale.id, { ...(fresh ?? unknownRun(stale.id)), stale });
      const loaded = withShownRun({ ...state, runs, runsLoaded: true, early: [] });
      return addEvents(loaded, state.early);
    }
    case "run-loaded":
      return addSnapshot(state, message.snapshot);
    case "run-missing":
      return changeRun(state, message.run, {
        missing: message.reason,
        pending: [],
        stale: null,
      });
    case "run-delayed":
      // What has come by now is in whatever the boss answers next.
      return changeRun(state, message.run, { problem: message.reason, pending: [] });
    case "run-events": {
      const { events } = message;
      const lastSeq = Math.max(state.lastSeq, events.at(-1)?.seq ?? 0);
      return state.runsLoaded
        ? addEvents({ ...state, lastSeq }, events)
        : { ...state, lastSeq, early: [...state.early, ...events] };
    }
    case "fetched": {
      const { url, answer } = message;
      const wished = new Set(wishesOf(state).map((wish) => wish.url));
      return { ...state, fetched: keepFetched(state.fetched, url, answer, wished) };
    }
    case "route-changed": {
      const isOther = runOf(message.route) !== runOf(state.route);
      return withShownRun({
        ...state,
        route: message.route,
        watched: stillWatched(state, [runOf(state.route), runOf(message.route)]),
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
      return state.lostAt === null
        ? { ...state, now: message.now }
        : { ...state, lostForMs: message.now - state.lostAt };
    default:
      return message satisfies never;
  }
}

/** Who has seen how a run ended does not watch it any more. */
function stillWatched({ watched, runs }: State, shown: readonly (number | null)[]) {
  const isSeen = (id: number) =>
    shown.includes(id) && (runs.get(id)?.summary?.finishedAt ?? null) !== null;
  return [...watched].some(isSeen) ? new Set([...watched].filter((id) => !isSeen(id))) : watched;
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
      entry = { ...entry, ...atHand, run: newRun(id, first.event) };
      hasNew = true;
    }
    // Of an older run: it is fetched whole, and these wait for it.
    if (entry.run === null) {
      const pending = entry.missing === null ? [...entry.pending, ...own] : [];
      runs.set(id, withPin({ ...entry, pending }, own));
    } else runs.set(id, withEvents(entry, own));
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
  const loaded = { ...entry, ...atHand, run, seq, pending: [] };
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

/**
 * Keeps the newest of all and of each pipeline, what has not ended, and of those that have ended only the shown
 * one's details. The trend of a pipeline is fetched once, so nothing that was told since may be lost to it.
 */
function prune(state: State): State {
  const shown = runOf(state.route);
  const runs = new Map<number, RunEntry>();
  const ofPipeline = new Map<string, number>();
  for (const entry of [...state.runs.values()].sort((a, b) => b.id - a.id)) {
    const { id, run, summary, missing } = entry;
    const pipeline = summary?.pipeline ?? "";
    const place = (ofPipeline.get(pipeline) ?? 0) + 1;
    ofPipeline.set(pipeline, place);
    const isOver = missing !== null || (summary?.finishedAt ?? null) !== null;
    if (isOver && runs.size >= maxRuns && place > trendRuns && id !== shown) continue;
    const isDone = run !== null && isFinished(run) && id !== shown;
    runs.set(id, isDone ? { ...entry, run: null } : entry);
  }
  return { ...state, runs };
}

function withShownRun(state: State): State {
  const shown = runOf(state.route);
  if (shown === null || !state.runsLoaded || state.runs.has(shown)) return state;
  return setRun(state, unknownRun(shown));
}

/** Of an entry whose run is there. */
const atHand = { stale: null, problem: null, missing: null };

function unknownRun(id: number): RunEntry {
  return { id, summary: null, run: null, seq: 0, pending: [], ...atHand };
}

function entryOf(summary: RunSummary): RunEntry {
  return { ...unknownRun(summary.id), summary };
}

function setRun(state: State, entry: RunEntry): State {
  return { ...state, runs: new Map(state.runs).set(entry.id, entry) };
}

function changeRun(state: State, id: number, change: Partial<RunEntry>): State {
  const entry = state.runs.get(id);
  return entry ? setRun(state, { ...entry, ...change }) : state;
}
