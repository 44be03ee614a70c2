// The last words on a run: the verdict, who failed and why, and what to type to see it again.

import type { RunVerdict } from "../model/failure.js";
import type { TaskRef } from "../model/pipeline.js";
import { taskLabel } from "../model/pipeline.js";
import { eachTask, isFlaky, type Run } from "../model/run.js";
import { failingTestLines } from "./failing-tests.js";
import { clock, mark, paintStatus } from "./marks.js";
import { hintOf, reasonOf } from "./reason.js";
import type { Style } from "./style.js";
import { describeTally, tallyRun, total } from "./tally.js";
import { cutText, harmlessText, oneLine } from "./text.js";

const mostShown = 20;

export interface SummaryOptions {
  readonly style: Style;
  readonly width: number;
  readonly rerunCommand: (ref: TaskRef) => string;
}

export function summaryLines(run: Run, options: SummaryOptions): string[] {
  const { style } = options;
  const lines = [verdictLine(run, style)];
  if (run.fault) lines.push("", ...faultLines(run.fault.message, run.fault.hint, style));

  const bad = [...eachTask(run)].filter(
    ({ task }) => task.status === "failed" || task.status === "errored",
  );
  if (bad.length > 0) lines.push("");
  for (const { ref, task } of bad.slice(0, mostShown)) {
    const name = oneLine(taskLabel(ref));
    const room = Math.max(20, options.width - name.length - 6);
    lines.push(
      `  ${mark(task.status, style)} ${style.bold(name)}  ${cutText(reasonOf(task), room)}`.trimEnd(),
    );
    const hint = hintOf(task);
    if (hint) lines.push(`    ${hint}`);
    lines.push(`    ${style.dim(oneLine(options.rerunCommand(ref)))}`);
  }
  if (bad.length > mostShown) lines.push(`  … and ${bad.length - mostShown} more`);

  const flaky = [...eachTask(run)].filter(({ task }) => isFlaky(task));
  if (flaky.length > 0) lines.push("");
  for (const { ref, task } of flaky.slice(0, mostShown)) {
    const what = `${oneLine(taskLabel(ref))}  ${reasonOf(task)}`;
    lines.push(`  ${mark("passed", style)} ${cutText(what, Math.max(20, options.width - 4))}`);
  }
  if (flaky.length > mostShown) lines.push(`  … and ${flaky.length - mostShown} more`);
  // Last, where the eye is: nobody scrolls up for the name of a test.
  lines.push(...failingTestLines(run, options));
  return lines;
}

function verdictLine(run: Run, style: Style): string {
  const verdict = isVerdict(run.status) ? run.status : "errored";
  const tally = tallyRun(run);
  const started = run.startedAt ?? run.request.at;
  const took = clock((run.finishedAt ?? started) - started);
  const by = run.cancelledBy && verdict === "cancelled" ? [`by ${oneLine(run.cancelledBy)}`] : [];
  const counts = total(tally) > 0 ? [describeTally(tally)] : [];
  const word = style.bold(paintStatus(verdict.toUpperCase(), verdict, style));
  return `${word}  ${[...by, ...counts, took].join(" · ")}`;
}

function faultLines(message: string, hint: string | undefined, style: Style): string[] {
  const text = harmlessText(message).split("\n");
  return [
    ...text.map((line, index) => (index === 0 ? `  ${style.bold(line)}` : `  ${line}`)),
    ...(hint
      ? harmlessText(hint)
          .split("\n")
          .map((line) => `  ${line}`)
      : []),
  ];
}

function isVerdict(status: Run["status"]): status is RunVerdict {
  return status !== "queued" && status !== "running";
}
