// The one function that changes what the page knows. Pure: the same state and message give the same result.

import type { LoggedEvent } from "../src/model/events.js";
import { applyEvent, isFinished, newRun } from "../src/model/run.js";
import { summarizeRun } from "../src/model/run-summary.js";
import type { PipelineView, RunSnapshot, RunSummary, WorkerView } from "../src/wire/boss.js";
import { appendOutput } from "./output-text.js";
import type { Route } from "./route.js";
import {
  maxRuns,
  newOutput,
  type OutputState,
  type RunEntry,
  type State,
  wantedOutput,
} from "./state.js";

export type Message =
  | { readonly type: "connected" }
  | { readonly type: "disconnected" }
  | { readonly type: "pipelines-told"; readonly pipelines: readonly PipelineView[] }
  | { readonly type: "workers-told"; readonly workers: readonly WorkerView[] }
  | { readonly type: "runs-loaded"; readonly runs: readonly RunSummary[] }
  | { readonly type: "run-loaded"; readonly snapshot: RunSnapshot }
  | { readonly type: "run-missing"; readonly run: number; readonly reason: string }
  | { readonly type: "run-event"; readonly logged: LoggedEvent }
  | { readonly type: "route-changed"; readonly route: Route }
  | { readonly type: "output-opened"; readonly key: string; readonly skippedBytes: number }
  | { readonly type: "output-received"; readonly key: string; readonly text: string }
  | { readonly type: "output-ended"; readonly key: string }
  | { readonly type: "output-failed"; readonly key: string; readonly reason: string }
  | { readonly type: "asked-in-vain"; readonly reason: string }
  | { readonly type: "problem-dismissed" }
  | { readonly type: "clock-ticked"; readonly now: number };

export function update(state: State, message: Message): State {
  return followOutput(change(state, message));
}

function change(state: State, message: Message): State {
  switch (message.type) {
    case "connected":
      // The boss may be another one now, with other runs under the same numbers: believe nothing old.
      return {
        ...state,
        connection: "open",
        generation: state.generation + 1,
        runsLoaded: false,
        early: [],
      };
    case "disconnected":
      return { ...state, connection: "lost" };
    case "pipelines-told":
      return { ...state, pipelines: message.pipelines };
    case "workers-told":
      return { ...state, workers: message.workers };
    case "runs-loaded": {
      const runs = new Map(message.runs.map((summary) => [summary.id, entryOf(summary)]));
      const loaded = withShownRun({ ...state, runs, runsLoaded: true, early: [] });
      return state.early.reduce(addEvent, loaded);
    }
    case "run-loaded":
      return addSnapshot(state, message.snapshot);
    case "run-missing":
      return changeRun(state, message.run, (entry) => ({ ...entry, missing: message.reason }));
    case "run-event":
      return state.runsLoaded
        ? addEvent(state, message.logged)
        : { ...state, early: [...state.early, message.logged] };
    case "route-changed":
      return withShownRun({ ...state, route: message.route, problem: null });
    case "output-opened":
      return changeOutput(state, message.key, (output) => ({
        ...output,
        status: "live",
        text: { ...output.text, dropped: message.skippedBytes > 0 },
      }));
    case "output-received":
      return changeOutput(state, message.key, (output) => ({
        ...output,
        text: appendOutput(output.text, message.text),
      }));
    case "output-ended":
      return changeOutput(state, message.key, (output) => ({ ...output, status: "ended" }));
    case "output-failed":
      return changeOutput(state, message.key, (output) => ({
        ...output,
        status: "failed",
        problem: message.reason,
      }));
    case "asked-in-vain":
      return { ...state, problem: message.reason };
    case "problem-dismissed":
      return { ...state, problem: null };
    case "clock-ticked":
      return { ...state, now: message.now };
    default:
      return message satisfies never;
  }
}

/** The output belongs to the task that is shown; while the connection is lost, what is there stays. */
function followOutput(state: State): State {
  if (state.connection !== "open" || !state.runsLoaded) return state;
  const wish = wantedOutput(state);
  if (wish?.key === state.output?.key) return state;
  return { ...state, output: wish && newOutput(wish.key) };
}

function addEvent(state: State, logged: LoggedEvent): State {
  const { run: id, event } = logged;
  const entry = state.runs.get(id) ?? unknownRun(id);
  if (entry.run) return setRun(state, withEvents(entry, [logged]));
  if (event.type === "run-created") {
    const created = { ...entry, run: newRun(id, event), missing: null };
    return prune(setRun(state, withEvents(created, [logged])));
  }
  // Of an older run: it is fetched whole, and this waits for it.
  return setRun(state, { ...entry, pending: [...entry.pending, logged] });
}

function addSnapshot(state: State, { run, seq }: RunSnapshot): State {
  const entry = state.runs.get(run.id);
  if (!entry || entry.run) return state;
  const loaded = { ...entry, run, seq, pending: [], missing: null };
  return setRun(state, withEvents(loaded, entry.pending));
}

/** Skips what is known already: a snapshot and the stream of events overlap. */
function withEvents(entry: RunEntry, events: readonly LoggedEvent[]): RunEntry {
  let { run, seq } = entry;
  for (const logged of events) {
    if (!run || logged.seq <= seq) continue;
    run = applyEvent(run, logged.event);
    seq = logged.seq;
  }
  return { ...entry, run, seq, summary: run ? summarizeRun(run) : entry.summary };
}

/** Keeps the newest, and of those that have ended only the shown one's details. */
function prune(state: State): State {
  const shown = state.route.page === "run" ? state.route.run : null;
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
  if (state.route.page !== "run" || !state.runsLoaded || state.runs.has(state.route.run))
    return state;
  return setRun(state, unknownRun(state.route.run));
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

/** A late chunk of a stream that is no longer wanted changes nothing. */
function changeOutput(
  state: State,
  key: string,
  change: (output: OutputState) => OutputState,
): State {
  if (state.output?.key !== key) return state;
  return { ...state, output: change(state.output) };
}
