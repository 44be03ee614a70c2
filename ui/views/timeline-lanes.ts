// A run as bars in lanes, one lane a slot: why it took as long as it did.

import { type TaskRef, taskKey } from "../../src/model/pipeline.js";
import type { Run, TaskStatus } from "../../src/model/run.js";

export interface Bar {
  readonly ref: TaskRef;
  readonly attempt: number;
  readonly attempts: number;
  readonly status: TaskStatus;
  readonly from: number;
  /** For one that still runs: now. */
  readonly to: number;
  readonly worker: string;
  /** Index of its lane. */
  readonly lane: number;
}

export interface Timeline {
  readonly from: number;
  readonly to: number;
  readonly bars: readonly Bar[];
  /** Of each lane, the worker. */
  readonly lanes: readonly string[];
  readonly stages: readonly StageSpan[];
  /** What the end of the run waited for, first to last: none of it can take longer without the run doing so. */
  readonly critical: readonly Bar[];
}

export interface StageSpan {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Clocks and events are not exact: what ends this much after another began may still have been waited for. */
const toleranceMs = 5;

export function timelineOf(run: Run, now: number): Timeline {
  const loose: Omit<Bar, "lane">[] = [];
  const stages: StageSpan[] = [];
  for (const stage of run.stages) {
    let [from, to] = [Number.POSITIVE_INFINITY, 0];
    for (const task of stage.tasks) {
      task.attempts.forEach((attempt, index) => {
        const bar = {
          ref: { stage: stage.name, task: task.name },
          attempt: index + 1,
          attempts: task.attempts.length,
          status: attempt.end?.status ?? "running",
          from: attempt.startedAt,
          to: attempt.finishedAt ?? Math.max(now, attempt.startedAt),
          worker: attempt.calls[0]?.worker ?? "",
        } as const;
        loose.push(bar);
        from = Math.min(from, bar.from);
        to = Math.max(to, bar.to);
      });
    }
    if (to > 0) stages.push({ name: stage.name, from, to });
  }
  const { bars, lanes } = inLanes(loose);
  const start = Math.min(run.startedAt ?? run.request.at, ...stages.map((stage) => stage.from));
  const end = run.finishedAt ?? Math.max(now, ...stages.map((stage) => stage.to));
  return { from: start, to: end, bars, lanes, stages, critical: criticalPath(bars) };
}

/** Each in the first lane of its worker that is free; workers one below the other. */
function inLanes(loose: readonly Omit<Bar, "lane">[]): { bars: Bar[]; lanes: string[] } {
  const sorted = [...loose].sort((a, b) => a.from - b.from || a.to - b.to);
  const workers = [...new Set(sorted.map(({ worker }) => worker))].sort();
  const ends = new Map<string, number[]>(workers.map((worker) => [worker, []]));
  const placed = sorted.map((bar) => {
    const free = ends.get(bar.worker)!;
    const found = free.findIndex((end) => end <= bar.from + toleranceMs);
    const slot = found < 0 ? free.length : found;
    free[slot] = bar.to;
    return { bar, slot };
  });
  const lanes = workers.flatMap((worker) => ends.get(worker)!.map(() => worker));
  const firsts = new Map(workers.map((worker) => [worker, lanes.indexOf(worker)]));
  return {
    lanes,
    bars: placed.map(({ bar, slot }) => ({ ...bar, lane: firsts.get(bar.worker)! + slot })),
  };
}

/**
 * Backwards from what ended last: each waited for what ended last before it began, be it for its slot, for its
 * stage or for its own attempt before.
 */
export function criticalPath(bars: readonly Bar[]): readonly Bar[] {
  const byEnd = [...bars].sort((a, b) => a.to - b.to);
  const retried = retriedOnes(bars);
  const seen = new Set<Bar>();
  for (let at = byEnd.at(-1); at && !seen.has(at); ) {
    seen.add(at);
    const own = at.attempt > 1 ? retried.get(attemptKey(at.ref, at.attempt - 1)) : undefined;
    const waitedForOwn = own && own.to <= at.from + toleranceMs && !seen.has(own);
    at = waitedForOwn ? own : latestBefore(byEnd, at, seen);
  }
  return [...seen].reverse();
}

/** Every attempt that another one came after, so that it is found without looking through all. */
function retriedOnes(bars: readonly Bar[]): Map<string, Bar> {
  const all = bars.filter(({ attempt, attempts }) => attempt < attempts);
  return new Map(all.map((bar) => [attemptKey(bar.ref, bar.attempt), bar]));
}

function attemptKey(ref: TaskRef, attempt: number): string {
  return `${attempt} ${taskKey(ref)}`;
}

/** Of those that ended at about the same time the one whose slot it took over. */
function latestBefore(byEnd: readonly Bar[], next: Bar, seen: Set<Bar>): Bar | undefined {
  const { from, lane } = next;
  let found: Bar | undefined;
  let low = 0;
  let high = byEnd.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (byEnd[middle]!.to <= from + toleranceMs) low = middle + 1;
    else high = middle;
  }
  for (let index = low - 1; index >= 0; index -= 1) {
    const bar = byEnd[index]!;
    if (seen.has(bar) || bar.from >= from) continue;
    if (found && bar.to < found.to - toleranceMs) break;
    if (bar.lane === lane) return bar;
    found ??= bar;
  }
  return found;
}
