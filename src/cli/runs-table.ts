import type { TaskStatus } from "../model/run.js";
import { clock, mark, paintStatus } from "../terminal/marks.js";
import type { Style } from "../terminal/style.js";
import { statuses } from "../terminal/tally.js";
import { oneLine } from "../terminal/text.js";
import type { RunSummary } from "../wire/boss.js";
import { styleOf } from "./environment.js";
import { tableLines } from "./table.js";

export function runsLines(runs: readonly RunSummary[], now = Date.now()): string[] {
  if (runs.length === 0) return ["no runs yet"];
  const style = styleOf(process.stdout);
  return tableLines(
    [
      { title: "RUN", align: "right" },
      { title: "STATUS" },
      { title: "PIPELINE" },
      { title: "TASKS" },
      { title: "TOOK", align: "right" },
      { title: "STARTED" },
      { title: "BY" },
    ].map(({ title, align }) => ({
      title: style.dim(title),
      ...(align === "right" && { align: "right" as const }),
    })),
    runs.map((run) => [
      String(run.id),
      statusCell(run.status, style),
      oneLine(run.pipeline),
      taskCounts(run.tasks),
      run.startedAt === null ? "" : clock((run.finishedAt ?? now) - run.startedAt),
      style.dim(ago(now - run.createdAt)),
      style.dim(oneLine(run.trigger)),
    ]),
  );
}

function statusCell(status: RunSummary["status"], style: Style): string {
  return `${mark(status, style)} ${paintStatus(status, status, style)}`;
}

function taskCounts(tasks: Readonly<Partial<Record<TaskStatus, number>>>): string {
  return statuses
    .flatMap((status) => (tasks[status] ? [`${tasks[status]} ${status}`] : []))
    .join(" · ");
}

export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.round(hours / 24)} days ago`;
}
