// What one ended task says for good: its line, and its output under a rule.

import type { AttemptRef } from "../model/events.js";
import { taskLabel } from "../model/pipeline.js";
import type { TaskState } from "../model/run.js";
import { clock, mark, taskMs } from "./marks.js";
import { eachLine, readTail } from "./output.js";
import type { Write } from "./printer.js";
import { hintOf, reasonOf } from "./reason.js";
import type { RunViewOptions } from "./run-view.js";
import { count, harmlessLine, oneLine } from "./text.js";

/** `Infinity` lines: all of it, as a stream. */
export async function printOutput(
  ref: AttemptRef,
  { lines, bytes }: { readonly lines: number; readonly bytes: number },
  options: RunViewOptions,
  write: Write,
): Promise<void> {
  const { style } = options;
  const rule = `    ${style.dim("│")} `;
  const show = (line: string) => write(`${rule}${harmlessLine(line, { colour: style.colour })}\n`);
  try {
    if (lines === Number.POSITIVE_INFINITY) {
      for await (const line of eachLine(options.readOutput(ref))) await show(line);
      return;
    }
    const tail = await readTail(options.readOutput(ref), { lines, bytes });
    if (tail.omittedLines > 0) {
      const left = `… ${count(tail.omittedLines, "line")} left out, --output all shows them`;
      await write(`${rule}${style.dim(left)}\n`);
    }
    for (const line of tail.lines) await show(line);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    await write(`${rule}${style.dim(`its output cannot be read: ${oneLine(why)}`)}\n`);
  }
}

/** "✗ TestUnit.task_models  exit code 1: pytest  0.4 s" above the live picture. */
export function taskHeadline(ref: AttemptRef, task: TaskState, options: RunViewOptions): string {
  const { style } = options;
  const ms = taskMs(task, Date.now());
  const status = task.attempts[ref.attempt - 1]?.end?.status ?? task.status;
  const parts = [
    `${mark(status, style)} ${style.bold(oneLine(taskLabel(ref)))}`,
    reasonOf(task),
    task.status === "queued" ? style.dim("is tried again") : "",
    ms === null ? "" : style.dim(clock(ms)),
  ];
  const hint = hintOf(task);
  return parts.filter(Boolean).join("  ") + (hint ? `\n    ${hint}` : "");
}
