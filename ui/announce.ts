// Where the reader looks when the page is in the background: title, icon, notifications.

import type { RunSummary } from "../src/wire/boss.js";
import { formatCounts, type Status } from "./format.js";
import { navigate } from "./navigate.js";
import { runHref } from "./route.js";
import type { State } from "./state.js";
import { marks, statusToTell, titleOf } from "./title.js";

const icons: Partial<Record<Status | "lost", readonly [color: string, path: string]>> = {
  passed: ["18794a", "M4.5 8.3l2.4 2.4 4.6-5"],
  failed: ["c4302b", "M5.3 5.3l5.4 5.4M10.7 5.3l-5.4 5.4"],
  errored: ["a8520a", "M8 4v5M8 11.2v.9"],
  running: ["1a5fb4", "M6.3 5v6l4.7-3z"],
  queued: ["5b656f", "M8 4.5V8l2.5 1.5"],
  cancelled: ["5b656f", "M4.5 11.5l7-7"],
  lost: ["5b656f", "M6 6.2a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1M8 11.2v.9"],
};

function iconOf(status: Status | "lost"): string {
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
    const status = statusToTell(state);
    if (status !== null && status !== icon) {
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
  try {
    const notification = new Notification(`${marks[status]} ${pipeline}: run ${id} ${status}`, {
      body: formatCounts(tasks),
      tag: `bettertest-run-${id}`,
      icon: iconOf(status),
    });
    notification.onclick = () => {
      window.focus();
      navigate(runHref(id));
    };
  } catch {
    // Chrome on Android grants it, and then throws. Title and icon tell of the end all the same.
  }
}
