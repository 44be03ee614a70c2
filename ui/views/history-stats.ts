// What the history of a pipeline says in numbers.

import type { HistoryView, TaskHistory } from "../../src/wire/boss.js";
import type { Status } from "../format.js";

export interface TaskStats {
  readonly task: TaskHistory;
  readonly runs: number;
  readonly red: number;
  readonly flaky: number;
  /** Of those that passed; null where none did. */
  readonly medianMs: number | null;
  readonly longestMs: number;
}

export type HistoryState = Status | "flaky" | null;

const states: Readonly<Record<string, HistoryState>> = {
  p: "passed",
  k: "flaky",
  f: "failed",
  e: "errored",
  c: "cancelled",
  s: "skipped",
};

export function stateOf(letter: string | undefined): HistoryState {
  return states[letter ?? "-"] ?? null;
}

const known = new WeakMap<HistoryView, TaskStats[]>();

export function statsOf(history: HistoryView): TaskStats[] {
  let stats = known.get(history);
  if (!stats) {
    stats = history.tasks.map(statsOfTask);
    known.set(history, stats);
  }
  return stats;
}

function statsOfTask(task: TaskHistory): TaskStats {
  let [runs, red, flaky, longestMs] = [0, 0, 0, 0];
  const passed: number[] = [];
  [...task.states].forEach((letter, index) => {
    const ms = task.ms[index] ?? null;
    if (ms !== null) {
      runs += 1;
      longestMs = Math.max(longestMs, ms);
    }
    if (letter === "f" || letter === "e") red += 1;
    if (letter === "k") flaky += 1;
    if ((letter === "p" || letter === "k") && ms !== null) passed.push(ms);
  });
  return { task, runs, red, flaky, medianMs: medianOf(passed), longestMs };
}

export function medianOf(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? null;
}

export type Order = "stages" | "red" | "flaky" | "slow";

export function ordered(stats: readonly TaskStats[], order: Order): TaskStats[] {
  const by = (value: (one: TaskStats) => number) => [...stats].sort((a, b) => value(b) - value(a));
  switch (order) {
    case "stages":
      return [...stats];
    case "red":
      return by(({ red }) => red);
    case "flaky":
      return by(({ flaky }) => flaky);
    case "slow":
      return by(({ medianMs, longestMs }) => medianMs ?? longestMs);
    default:
      return order satisfies never;
  }
}
