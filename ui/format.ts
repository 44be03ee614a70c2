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

/** "14:03" */
export function formatClock(at: number): string {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** "Today", "Yesterday", then the date. */
export function dayOf(at: number, now: number): string {
  const day = new Date(at).toDateString();
  if (day === new Date(now).toDateString()) return "Today";
  if (day === new Date(now - 24 * 3_600_000).toDateString()) return "Yesterday";
  return new Date(at).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

/** "3 min ago" */
export function formatAgo(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return "just now";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ago`;
  return `${Math.floor(hours / 24)} days ago`;
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

/** Without what all have in common. */
export function workerName(url: string): string {
  return url.replace(/^https?:\/\//, "");
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

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} KB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
