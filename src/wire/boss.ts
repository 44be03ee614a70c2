// The contract between a boss and its readers: browser, command line, programs.
//
//   GET  /health                                   200 "ok\n"
//   GET  /healthz                                  { live, ready, reasons }; 503 while not ready
//   GET  /metrics                                  OpenMetrics
//   GET  /api/pipelines                            PipelineView[]
//   GET  /api/workers                              WorkerView[]
//   POST /api/runs                                 StartRunRequest -> 201 { run }
//   GET  /api/runs                                 ?limit, before, pipeline -> RunSummary[], newest first
//   GET  /api/runs/{id}                            RunSnapshot
//   GET  /api/runs/{id}/events                     SSE of the run's events; ends after run-finished
//   POST /api/runs/{id}/cancel                     202 { run }; 409 where it has ended
//   POST /api/runs/{id}/pin, .../unpin             200 { run, pinned }
//   POST /api/runs/{id}/rerun                      RerunRequest -> 201 { run }
//   GET  /api/runs/{id}/tasks/{stage}/{task}       TaskState
//   GET  /api/runs/{id}/tasks/{stage}/{task}/output
//            ?attempt (default: last), offset, limit, tail (bytes from the end), follow=1 (until it ends)
//            raw bytes; header bettertest-output-length: bytes so far
//   GET  /api/runs/{id}/tasks/{stage}/{task}/output/marks
//            ?attempt (default: last), from (offset) OutputMarksView: whose bytes are where, and when they came
//   GET  .../output/outline                        ?attempt, follow=1 -> a JSON OutputOutline a line: how far the
//            output goes, what can be folded
//   GET  .../output/lines                          ?attempt, from (1: the first), count -> OutputLines
//   GET  .../output/search                         ?attempt, q, regex=1, case=1, from; or errors=1
//            a JSON OutputMatches a line, until all is searched
//   GET  /api/runs/{id}/tasks/{stage}/{task}/services/{name}/output
//            ?attempt, call (default: last), offset, tail, follow=1: what a service of it printed, in the same way
//   GET  .../output/diff                           ?attempt, against (1), ignore-times=1 -> OutputDiff
//   GET  /api/runs/{id}/tests                      ?verdict, stage, task, attempt (default: last), call (all), limit
//            (1000), skip
//                                                  -> TestsView: single tests, from the results files of commands
//   GET  /api/runs/{id}/artifacts                  ?stage, task, attempt, call -> ArtifactsView
//   GET  /api/runs/{id}/artifacts/{path}           ?stage, task, attempt, call (default: the last that
//            has left it): the file's bytes, as an attachment
//   GET  /api/kept                                 KeptView[]: sandboxes of red commands that can be entered
//   GET  /api/runs/{id}/tasks/{stage}/{task}/kept  ?attempt, call -> KeptState; 404 with the reason
//   POST /api/runs/{id}/tasks/{stage}/{task}/release     ?attempt, call -> 200 { run }: its sandbox is removed
//   POST /api/runs/{id}/tasks/{stage}/{task}/terminals   ?attempt, call; TerminalRequest
//                                                  -> 201 { terminal, attempt, call }; then .../output, .../input
//                                                  and .../size of it as at a worker, see kept.ts
//   GET  /api/events                               SSE of everything: see FeedMessage
//   GET  /api/session                              SessionView: who asks
//   GET  /api/history                              ?pipeline, limit (30), before -> HistoryView
//   GET  /api/usual                                ?pipeline -> UsualView
//   GET  /api/openapi.json
//
// A boss that needs a token answers 401 { error } without one: Authorization: Bearer TOKEN, or a cookie from
// /login. A page in a browser is sent to /login?next=... instead. GET /health, GET /login, POST /login
// (token, next) and POST /logout are open to all.
//
// Every SSE of run events carries the event's type as `event:`, its sequence number as `id:`, and a
// LoggedEvent as data. A reader resumes with Last-Event-ID or ?after=SEQ. Take a snapshot, then read the
// events after its `seq`: the log replays whatever happened in between.
//
// Errors are JSON { error, field? } with a status of 400, 401, 403, 404, 409, 413, 429 or 500.
//
// Older clients use GET /api/state, POST /api/run and GET /api/run/{id}/events (see boss/routes/legacy.ts).

import * as z from "zod";
import type { LoggedEvent } from "../model/events.js";
import type { Pipeline, TaskRef } from "../model/pipeline.js";
import type { Run } from "../model/run.js";
import type { RunSummary } from "../model/run-summary.js";
import type { Artifact, TestCase } from "../model/test-results.js";
import { keepFailedMs } from "./kept.js";
import type { WorkerInfo } from "./worker.js";

export const outputLengthHeader = "bettertest-output-length";

export const StartRunRequest = z.strictObject({
  /** May be left out where the boss has just one. */
  pipeline: z.string().optional(),
  /** `Stage` or `Stage.task`; absent or empty: everything. */
  only: z.array(z.string().min(1)).optional(),
  keepGoing: z.boolean().optional(),
  /** Sandboxes of red commands are kept for so long, to be entered; 0: they are not. */
  keepFailedMs: keepFailedMs.or(z.literal(0)).optional(),
});
export type StartRunRequest = z.infer<typeof StartRunRequest>;

export const RerunRequest = z.strictObject({
  /** Only the tasks that did not pass. */
  failed: z.boolean().optional(),
  /** `Stage` or `Stage.task`, instead of those that it had; absent or empty: the same again. */
  only: z.array(z.string().min(1)).optional(),
  keepFailedMs: keepFailedMs.or(z.literal(0)).optional(),
});
export type RerunRequest = z.infer<typeof RerunRequest>;

export interface PipelineView {
  readonly name: string;
  /** Path of the pipedef. */
  readonly pipedef: string;
  /** The last good one; null while none has loaded yet. */
  readonly pipeline: Pipeline | null;
  /** Why the file as it is now cannot be used, in words with file and line; null when it can. */
  readonly problem: string | null;
  /** With a problem: its author can mend it. Absent: the machinery. */
  readonly problemOrigin?: "pipedef";
}

export interface WorkerView {
  readonly url: string;
  /** "lost": it answered before, and does not now. */
  readonly status: "connecting" | "connected" | "lost";
  readonly info: WorkerInfo | null;
  readonly problem: string | null;
}

/** Also what GET /healthz answers, with `live: true` besides. */
export interface HealthView {
  /** Whether new runs can be started and can work. */
  readonly ready: boolean;
  /** Sentences for people: why it is not ready, and what soon may make it so. May hold some although ready. */
  readonly reasons: readonly string[];
}

export interface RunSnapshot {
  /** The last event that is in it. */
  readonly seq: number;
  readonly run: Run;
}

export interface OutputMarksView {
  /**
   * Offset of the first byte, when it came (milliseconds of the boss's clock), and where from: 0 is the task's
   * own code, n its call n. Each holds up to the next. At least one every quarter of a second of output.
   */
  readonly marks: readonly (readonly [offset: number, atMs: number, source: number])[];
}

/** What a stream of everything begins with. */
export interface HelloView {
  /** Names the boss's process. Another one may number its events anew: take nothing old for true. */
  readonly instance: string;
  readonly version: string;
  /** The newest event. */
  readonly seq: number;
  /** The boss's clock. */
  readonly now: number;
  /** So often at least the boss says something, if only `alive`. Absent: an older boss, which may be silent. */
  readonly keepAliveMs?: number;
}

/** Why runs wait. */
export interface QueueView {
  /** How many runs may be under way at once. */
  readonly concurrentRuns: number;
  /** Runs that wait for their turn, the next one first. */
  readonly waiting: readonly number[];
}

/**
 * What /api/events carries, by `event:` name; besides, with an `id:`, the events of runs: each by its own name, or
 * with `?together=1` several as `run-events`.
 */
export interface FeedMessage {
  /** Before everything else. */
  readonly hello: HelloView;
  /** At the start and whenever one changes. */
  readonly queue: QueueView;
  readonly pipelines: readonly PipelineView[];
  readonly workers: readonly WorkerView[];
  readonly health: HealthView;
  /** Whenever nothing else was said for a while. */
  readonly alive: null;
}

/** How far an output goes; every number of a line counts from 1. */
export interface OutputExtent {
  readonly lines: number;
  readonly bytes: number;
  /** No more will come. */
  readonly ended: boolean;
}

/** One message of an outline; later ones hold what has changed since. */
export interface OutputOutline extends OutputExtent {
  readonly folds: readonly OutputFold[];
}

export interface OutputFold {
  /** "group" from ::group:: to ::endgroup::, "headline" from one --- or +++ to the next, equal lines. */
  readonly kind: "group" | "headline" | "repeat";
  /** No two of a kind begin in the same line. */
  readonly first: number;
  /** Null while its end has not come. */
  readonly last: number | null;
}

export interface OutputLines {
  readonly extent: OutputExtent;
  /** Number of the first one. */
  readonly from: number;
  /** Without their line feeds; fewer than asked for where there are no more. */
  readonly lines: readonly OutputLine[];
  /** Where each begins. */
  readonly offsets: readonly number[];
  /** Parameters of the escape sequence (ESC [ ... m) in force at the start of the line of this number. */
  readonly looks: Readonly<Record<number, string>>;
}

/** A long line is cut in the middle. */
export type OutputLine = string | CutLine;

export interface CutLine {
  readonly head: string;
  readonly tail: string;
  /** Of the whole line. */
  readonly bytes: number;
  /** What is left out, in bytes from the start of the line. */
  readonly hiddenFrom: number;
  readonly hiddenTo: number;
}

/** One message of a search; the last one is `done`, or says why there is no more. */
export interface OutputMatches {
  /** Numbers of lines that match, in order; after the first 500,000 they are only counted. */
  readonly lines: readonly number[];
  /** Of errors, for each line: 2, the words of a known tool; 1, a line that speaks of an error. */
  readonly weights?: readonly number[];
  readonly count: number;
  readonly bytes: number;
  readonly done: boolean;
  readonly error?: string;
}

export interface SessionView {
  /** False on loopback, where nobody has to log in. */
  readonly login: boolean;
  /** Of the token. */
  readonly name: string;
  /** "read": everything can be seen, and nothing started or changed. */
  readonly access: "full" | "read";
  readonly via: "loopback" | "token" | "session";
}

export interface HistoryView {
  readonly pipeline: string;
  /** Oldest first; only those that have ended. */
  readonly runs: readonly RunSummary[];
  readonly tasks: readonly TaskHistory[];
}

/** A task in the runs of a HistoryView, in their order. */
export interface TaskHistory extends TaskRef {
  /** A letter a run: p passed, k flaky (passed, and was red before), f failed, e errored, c cancelled, s skipped, - not in it. */
  readonly states: string;
  readonly ms: readonly (number | null)[];
}

/** What a pipeline usually takes: the median of its last runs that passed. */
export interface UsualView {
  readonly pipeline: string;
  readonly runMs: number | null;
  readonly tasks: readonly (TaskRef & { readonly ms: number })[];
}

/** How the output of one attempt differs from that of an earlier one. */
export interface OutputDiff {
  readonly against: number;
  readonly attempt: number;
  /** In order: so many lines from this one on in the earlier output stand as so many from that one on here. */
  readonly hunks: readonly (readonly [before: number, count: number, now: number, count: number])[];
  /** There is more than this: the outputs, or their difference, are too large. */
  readonly cut: boolean;
}

export interface TestView extends TestCase, TaskRef {
  readonly attempt: number;
  readonly call: number;
}

export interface TestsView {
  readonly tests: readonly TestView[];
  /** There are further ones: see `skip`. */
  readonly more: boolean;
}

export interface ArtifactsView {
  readonly artifacts: readonly Artifact[];
}

interface KeptPlace extends TaskRef {
  readonly run: number;
  readonly attempt: number;
  readonly call: number;
  /** When it goes; null: not while somebody is inside. */
  readonly until: number | null;
}

/** As its worker says when it is asked. */
export interface KeptState extends KeptPlace {
  /** Open in it. */
  readonly terminals: number;
}

/** A sandbox that can be entered. */
export interface KeptView extends KeptPlace {
  readonly worker: string;
  readonly image?: string;
  readonly command?: string;
}

export interface ApiError {
  readonly error: string;
  readonly field?: string;
}

export type { LoggedEvent, RunSummary };
