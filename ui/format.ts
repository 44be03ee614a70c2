// Numbers and names as people read them.

import type { RunStatus, TaskStatus } from "../src/model/run.js";

export type Status = RunStatus | TaskStatus;

export function formatDuration(ms: number): string {
  if (ms > 0 && ms < 95) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "14:03:20" today, with the date before that. */
export function formatTime(at: number, now: number): string {
  const date = new Date(at);
  const time = date.toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${date.toLocaleDateString()} ${time}`;
}

const countedStatuses = [
  "failed",
  "errored",
  "running",
  "queued",
  "waiting",
  "passed",
  "cancelled",
  "skipped",
] as const satisfies readonly TaskStatus[];

/** "1 failed, 3 passed", the worst first. */
export function formatCounts(tasks: Readonly<Partial<Record<TaskStatus, number>>>): string {
  return countedStatuses
    .filter((status) => tasks[status])
    .map((status) => `${tasks[status]} ${status}`)
    .join(", ");
}
