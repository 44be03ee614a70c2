// `bettertest shell` without a task: which sandboxes can be entered.

import { taskLabel } from "../model/pipeline.js";
import { shellWord } from "../model/shell-word.js";
import { oneLine } from "../terminal/text.js";
import type { KeptView } from "../wire/boss.js";
import { programName, styleOf } from "./environment.js";
import { tableLines } from "./table.js";

export function keptLines(views: readonly KeptView[], bossArgument: string): string[] {
  if (views.length === 0)
    return ["no sandboxes are kept; see: bettertest run --help, --keep-failed"];
  const style = styleOf(process.stdout);
  return tableLines(
    ["RUN", "TASK", "KEPT", "ENTER"].map((title) => ({ title: style.dim(title) })),
    views.map((view) => [
      String(view.run),
      oneLine(`${taskLabel(view)}${view.attempt > 1 ? `, attempt ${view.attempt}` : ""}`),
      keptUntil(view.until),
      enterCommand(view, bossArgument),
    ]),
  );
}

export function enterCommand(
  view: Pick<KeptView, "run" | "stage" | "task">,
  bossArgument: string,
): string {
  return `${programName()} shell ${view.run} ${shellWord(oneLine(taskLabel(view)))}${bossArgument}`;
}

/** "until 14:05". */
export function keptUntil(until: number | null, now = Date.now()): string {
  if (until === null) return "while somebody is inside";
  const at = new Date(until);
  const time = [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, "0"));
  const isToday = at.toDateString() === new Date(now).toDateString();
  return `until ${time.join(":")}${isToday ? "" : " tomorrow"}`;
}
