// What the page's title says, and which verdict its icon shows.

import type { RunSummary } from "../src/wire/boss.js";
import { runOf } from "./route.js";
import { listedRuns, type State } from "./state.js";

export function titleOf(state: State): string {
  const title = titleOfPage(state);
  if (state.connection === "lost") return `Connection lost - ${title}`;
  const watched = watchedRun(state);
  if (!watched || watched.id === runOf(state.route)) return title;
  return `${marks[watched.status]} run ${watched.id} ${watched.status} - ${title}`;
}

function titleOfPage(state: State): string {
  const { route } = state;
  const summary = pageRun(state);
  if (route.page === "history") return `History of ${route.pipeline} - bettertest`;
  if (route.page === "compare")
    return `Run ${route.left} compared with ${route.right} - bettertest`;
  if (route.page === "workers") return "Workers - bettertest";
  if (route.page === "missing") return "Not here - bettertest";
  if (runOf(route) !== null) {
    if (!summary) return `Run ${runOf(route)} - bettertest`;
    const task = route.page === "run" && route.task ? `${route.task.task} - ` : "";
    return `${marks[summary.status]} ${task}run ${summary.id} ${summary.status} - ${summary.pipeline}`;
  }
  return summary && !watchedRun(state) ? `${marks[summary.status]} bettertest` : "bettertest";
}

export const marks: Record<RunSummary["status"], string> = {
  queued: "○",
  running: "▶",
  passed: "✓",
  failed: "✗",
  errored: "!",
  cancelled: "⊘",
};

/**
 * Whose end the reader waits for, wherever on the page they are; of several the newest. While the connection is lost
 * nobody knows how any stands.
 */
function watchedRun({ watched, runs, connection }: State): RunSummary | null {
  if (connection === "lost") return null;
  const newestFirst = [...watched].sort((a, b) => b - a);
  return newestFirst.map((id) => runs.get(id)?.summary).find((summary) => summary) ?? null;
}

/** The shown run; on other pages the newest. */
function pageRun(state: State): RunSummary | null {
  if (state.connection === "lost") return null;
  const id = runOf(state.route);
  if (id !== null) return state.runs.get(id)?.summary ?? null;
  return listedRuns(state)[0] ?? null;
}

/** By the icon; null: nothing has a verdict yet, and the page has an icon for that. */
export function statusToTell(state: State): RunSummary["status"] | "lost" | null {
  if (state.connection === "lost") return "lost";
  return (watchedRun(state) ?? pageRun(state))?.status ?? null;
}
