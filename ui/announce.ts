// Where the reader looks when the page is in the background: title, icon, notifications.

import type { RunSummary } from "../src/wire/boss.js";
import { formatCounts, type Status } from "./format.js";
import { navigate } from "./navigate.js";
import { runHref, runOf } from "./route.js";
import { listedRuns, type State } from "./state.js";

export function titleOf(state: State): string {
  const { route } = state;
  const summary = watchedSummary(state);
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
  return summary ? `${marks[summary.status]} bettertest` : "bettertest";
}

const marks: Record<RunSummary["status"], string> = {
  queued: "○",
  running: "▶",
  passed: "✓",
  failed: "✗",
  errored: "!",
  cancelled: "⊘",
};

/** The shown run; on other pages the newest. */
function watchedSummary(state: State): RunSummary | null {
  const id = runOf(state.route);
  if (id !== null) return state.runs.get(id)?.summary ?? null;
  return listedRuns(state)[0] ?? null;
}

const icons: Partial<Record<Status, readonly [color: string, path: string]>> = {
  passed: ["18794a", "M4.5 8.3l2.4 2.4 4.6-5"],
  failed: ["c4302b", "M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"],
  errored: ["a8520a", "M8 4v5M8 11.2v.9"],
  running: ["1a5fb4", "M6.3 5v6l4.7-3z"],
  queued: ["5b656f", "M8 4.5V8l2.5 1.5"],
  cancelled: ["5b656f", "M4.5 11.5l7-7"],
};

function iconOf(status: Status): string {
  const [color, path] = icons[status] ?? icons.queued!;
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='8' fill='#${color}'/><path d='${path}' fill='none' stroke='white' stroke-width='2' stroke-linecap='round'/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function createAnnouncer(): (state: State) => void {
  let icon = "";
  let told = new Set<number>();
  return (state) => {
    const title = titleOf(state);
    if (document.title !== title) document.title = title;
    const status = watchedSummary(state)?.status;
    if (status !== undefined && status !== icon) {
      icon = status;
      document.querySelector("link[rel=icon]")?.setAttribute("href", iconOf(status));
    }
    told = new Set([...told].filter((id) => state.watched.has(id)));
    for (const id of state.watched) {
      const summary = state.runs.get(id)?.summary;
      if (!summary || summary.finishedAt === null || told.has(id)) continue;
      told.add(id);
      notify(summary);
    }
  };
}

function notify({ id, pipeline, status, tasks }: RunSummary) {
  const notification = new Notification(`${marks[status]} ${pipeline}: run ${id} ${status}`, {
    body: formatCounts(tasks),
    tag: `bettertest-run-${id}`,
    icon: iconOf(status),
  });
  notification.onclick = () => {
    window.focus();
    navigate(runHref(id));
  };
}
