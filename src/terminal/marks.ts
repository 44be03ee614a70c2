// One sign and one colour for each state, the same in every view.

import type { TaskState, TaskStatus } from "../model/run.js";
import type { Style } from "./style.js";

const spinnerFrames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;

export function spinner(tick: number): string {
  return spinnerFrames[tick % spinnerFrames.length] ?? spinnerFrames[0];
}

export function mark(status: TaskStatus, style: Style, tick = 0): string {
  switch (status) {
    case "passed":
      return style.green("✓");
    case "failed":
      return style.red("✗");
    case "errored":
      return style.yellow("!");
    case "cancelled":
      return style.yellow("■");
    case "skipped":
      return style.dim("-");
    case "running":
      return style.cyan(spinner(tick));
    case "queued":
    case "waiting":
      return style.dim("·");
    default:
      return status satisfies never;
  }
}

export function paintStatus(text: string, status: TaskStatus, style: Style): string {
  switch (status) {
    case "passed":
      return style.green(text);
    case "failed":
      return style.red(text);
    case "errored":
    case "cancelled":
      return style.yellow(text);
    case "running":
      return style.cyan(text);
    case "skipped":
    case "queued":
    case "waiting":
      return style.dim(text);
    default:
      return status satisfies never;
  }
}

/** How long the task took, or takes so far; null while it has not started. */
export function taskMs(task: TaskState, now: number): number | null {
  const first = task.attempts[0];
  const last = task.attempts.at(-1);
  if (!first || !last) return null;
  return (last.finishedAt ?? now) - first.startedAt;
}

/** For clocks that tick before the eyes: no milliseconds, and always the same width for a while. */
export function clock(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest} min`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
}
