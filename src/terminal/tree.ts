// Stages and tasks as lines. Used by the live picture, and for what remains of it at the end.

import { attemptNote, type Run, type StageState, type TaskState } from "../model/run.js";
import { clock, mark, taskMs } from "./marks.js";
import { reasonOf } from "./reason.js";
import type { Style } from "./style.js";
import { describeTally, ended, tallyStage, total } from "./tally.js";
import { cutText, oneLine, padText, textWidth } from "./text.js";

export interface TreeOptions {
  readonly style: Style;
  readonly width: number;
  readonly now: number;
  /** Counts up; turns the spinners. */
  readonly tick: number;
}

export function nameWidth(names: Iterable<string>, width: number): number {
  let longest = 0;
  for (const name of names) longest = Math.max(longest, textWidth(name));
  return Math.max(4, Math.min(longest, Math.floor(width * 0.45)));
}

/** "left text ........ right", cut to the width; `right` survives where there is room for it. */
export function row(
  parts: { readonly lead: string; readonly name: string; readonly nameWidth: number },
  detail: string,
  right: string,
  { style, width, paintDetail = style.dim, paintName = (text: string) => text }: RowLook,
): string {
  const leadWidth = textWidth(parts.lead);
  const fixed = leadWidth + (right === "" ? 0 : right.length + 2);
  const nameRoom = Math.max(1, Math.min(parts.nameWidth, width - fixed));
  const name = cutText(parts.name, nameRoom);
  const detailRoom = width - fixed - nameRoom - 2;
  const detailText = detailRoom >= 4 ? cutText(detail, detailRoom) : "";
  const paddedName = detailText || right ? padText(name, nameRoom) : name;
  const left = `${parts.lead}${paintName(paddedName)}${detailText && `  ${paintDetail(detailText)}`}`;
  if (right === "" || width < fixed) return left.trimEnd();
  return `${padText(left, width - right.length)}${style.dim(right)}`;
}

interface RowLook {
  readonly style: Style;
  readonly width: number;
  readonly paintDetail?: (text: string) => string;
  readonly paintName?: (text: string) => string;
}

export function stageRow(stage: StageState, names: number, options: TreeOptions): string {
  const { style } = options;
  const tally = tallyStage(stage);
  const all = total(tally);
  const done = ended(tally);
  const status =
    stage.status === "running"
      ? "running"
      : tally.failed > 0
        ? "failed"
        : tally.errored > 0
          ? "errored"
          : tally.cancelled > 0
            ? "cancelled"
            : done === 0
              ? "waiting"
              : tally.skipped === all
                ? "skipped"
                : "passed";
  const detail =
    stage.status === "running"
      ? [`${done}/${all}`, describeTally(tally, ["failed", "errored", "running"])]
          .filter(Boolean)
          .join(" · ")
      : done === 0
        ? `${all} waiting`
        : describeTally(tally);
  return row(
    { lead: `${mark(status, style, options.tick)} `, name: oneLine(stage.name), nameWidth: names },
    detail,
    stageClock(stage, options.now),
    {
      style,
      width: options.width,
      paintName: done === 0 && stage.status === "waiting" ? style.dim : style.bold,
    },
  );
}

function stageClock(stage: StageState, now: number): string {
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for (const task of stage.tasks) {
    const start = task.attempts[0]?.startedAt;
    if (start === undefined) continue;
    first = Math.min(first, start);
    last = Math.max(last, task.attempts.at(-1)?.finishedAt ?? now);
  }
  return first > last ? "" : clock((stage.status === "running" ? now : last) - first);
}

export function taskRow(task: TaskState, names: number, options: TreeOptions): string {
  const { style } = options;
  const ms = taskMs(task, options.now);
  const red = task.status === "failed";
  return row(
    {
      lead: `  ${mark(task.status, style, options.tick)} `,
      name: oneLine(task.name),
      nameWidth: names,
    },
    task.status === "running" ? currentCommand(task) : reasonOf(task),
    ms === null ? "" : clock(ms),
    {
      style,
      width: options.width,
      paintDetail: red ? style.red : style.dim,
      paintName: task.status === "waiting" || task.status === "queued" ? style.dim : (text) => text,
    },
  );
}

function currentCommand(task: TaskState): string {
  const call = task.attempts.at(-1)?.calls.at(-1);
  const command = call ? oneLine(call.command) : "";
  return [attemptNote(task), command].filter(Boolean).join(": ");
}

/** Everything there is. */
export function wholeTree(run: Run, options: TreeOptions): string[] {
  const names = treeNames(run, options.width);
  return run.stages.flatMap((stage) => [
    stageRow(stage, names + 2, options),
    ...stage.tasks.map((task) => taskRow(task, names, options)),
  ]);
}

export function stagesOnly(run: Run, options: TreeOptions): string[] {
  const names = nameWidth(
    run.stages.map((stage) => oneLine(stage.name)),
    options.width,
  );
  return run.stages.map((stage) => stageRow(stage, names, options));
}

// One width for the whole life of a pipeline: columns that jump with every frame cannot be read.
const knownNames = new WeakMap<object, Map<number, number>>();

export function treeNames(run: Run, width: number): number {
  if (!run.pipeline) return 4;
  let byWidth = knownNames.get(run.pipeline);
  if (!byWidth) {
    byWidth = new Map();
    knownNames.set(run.pipeline, byWidth);
  }
  let names = byWidth.get(width);
  if (names === undefined) {
    names = nameWidth(
      run.pipeline.stages.flatMap((stage) => [
        oneLine(stage.name),
        ...stage.tasks.map((task) => oneLine(task.name)),
      ]),
      width,
    );
    byWidth.set(width, names);
  }
  return names;
}
