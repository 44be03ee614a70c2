// The live picture of a run: at most so many lines, whatever the size of the run. Pure.

import type { Run, StageState, TaskState } from "../model/run.js";
import { clock, mark, spinner } from "./marks.js";
import type { Style } from "./style.js";
import { describeTally, ended, tallyRun, tallyStage, total } from "./tally.js";
import { count, cutText, grouped, textWidth } from "./text.js";
import { stageRow, type TreeOptions, taskRow, treeNames, wholeTree } from "./tree.js";

export interface FrameOptions extends TreeOptions {
  readonly height: number;
  /** Said once Ctrl-C was pressed. */
  readonly cancelling: boolean;
}

export function renderFrame(run: Run, options: FrameOptions): string[] {
  const status = statusLine(run, options);
  const room = options.height - 2;
  if (room < 1) return options.height < 1 ? [] : [status];
  const tree = run.pipeline ? treeWithin(run, room, options) : [];
  return tree.length === 0 ? [status] : [...tree, "", status];
}

/** The most detailed of three pictures that fits. */
function treeWithin(run: Run, room: number, options: FrameOptions): string[] {
  const tasks = run.stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
  if (run.stages.length + tasks <= room) return wholeTree(run, options);

  const current = run.stages.find((stage) => stage.status === "running");
  const names = treeNames(run, options.width);
  const stageRoom = current ? Math.max(1, Math.min(run.stages.length, Math.ceil(room / 2))) : room;
  const stages = stageLines(run, current, stageRoom, names, options);
  const taskRoom = room - stages.length;
  if (!current || taskRoom < 1) return stages.slice(0, room).map(({ line }) => line);
  const taskLines = tasksWithin(current, taskRoom, names, options);
  return stages.flatMap(({ line, stage }) => (stage === current ? [line, ...taskLines] : [line]));
}

interface StageLine {
  readonly line: string;
  readonly stage: StageState | null;
}

function stageLines(
  run: Run,
  current: StageState | undefined,
  room: number,
  names: number,
  options: FrameOptions,
): StageLine[] {
  const line = (stage: StageState) => ({ line: stageRow(stage, names + 2, options), stage });
  if (run.stages.length <= room) return run.stages.map(line);

  // Too many: the ones around the current one, and how many there are on both sides.
  const at = current ? run.stages.indexOf(current) : run.stages.length - 1;
  const shown = Math.max(1, room - 2);
  const first = Math.max(0, Math.min(at - Math.floor(shown / 2), run.stages.length - shown));
  const middle = run.stages.slice(first, first + shown).map(line);
  const before = summaryOf(run.stages.slice(0, first), options);
  const after = summaryOf(run.stages.slice(first + shown), options);
  return [...before, ...middle, ...after].slice(0, Math.max(1, room));
}

function summaryOf(stages: readonly StageState[], { style, width }: FrameOptions): StageLine[] {
  if (stages.length === 0) return [];
  const finished = stages.every((stage) => stage.status === "finished");
  const red = stages.some((stage) => tallyStage(stage).failed > 0);
  const sign = finished ? mark(red ? "failed" : "passed", style) : mark("waiting", style);
  const text = `${count(stages.length, "stage")} ${finished ? "finished" : "more"}`;
  return [{ line: `${sign} ${style.dim(cutText(text, width - 2))}`, stage: null }];
}

function tasksWithin(
  stage: StageState,
  room: number,
  names: number,
  options: FrameOptions,
): string[] {
  if (stage.tasks.length <= room) return stage.tasks.map((task) => taskRow(task, names, options));

  const running = stage.tasks.filter((task) => task.status === "running");
  if (running.length <= room) {
    // Room left shows what ended last, so that the picture moves; red ones stand above it for good.
    const last = lastEnded(stage.tasks, room - running.length);
    return [...last, ...running].map((task) => taskRow(task, names, options));
  }
  const shown = running.slice(0, Math.max(0, room - 1));
  const more = `    … ${running.length - shown.length} more running`;
  return [
    ...shown.map((task) => taskRow(task, names, options)),
    options.style.dim(cutText(more, options.width)),
  ];
}

function lastEnded(tasks: readonly TaskState[], room: number): TaskState[] {
  if (room <= 0) return [];
  const last: TaskState[] = [];
  for (const task of tasks) {
    const at = task.attempts.at(-1)?.finishedAt;
    if (at === undefined || at === null) continue;
    const place = last.findLastIndex((other) => (other.attempts.at(-1)?.finishedAt ?? 0) <= at);
    last.splice(place + 1, 0, task);
    if (last.length > room) last.shift();
  }
  return last;
}

function statusLine(run: Run, options: FrameOptions): string {
  const { style, width } = options;
  const started = run.startedAt ?? run.request.at;
  const time = clock((run.finishedAt ?? options.now) - started);
  const turning = style.cyan(spinner(options.tick));
  if (!run.pipeline) {
    return `${turning} ${cutText(`loading ${run.request.pipedef}`, Math.max(1, width - 2))}`;
  }
  const tally = tallyRun(run);
  const all = total(tally);
  const done = ended(tally);
  const parts = [
    `${grouped(done)} of ${count(all, "task")}`,
    ...(tally.failed > 0 ? [style.red(`${tally.failed} failed`)] : []),
    ...(tally.errored > 0 ? [style.yellow(`${tally.errored} errored`)] : []),
    ...(tally.running > 0 ? [describeTally(tally, ["running"])] : []),
    ...(options.cancelling ? [style.yellow("cancelling, Ctrl-C again to exit at once")] : []),
    time,
  ];
  const bar = progressBar(all === 0 ? 1 : done / all, tally.failed + tally.errored > 0, style);
  // What does not fit goes, the least needed first: the bar, then details from the right.
  const text = (from: readonly string[]) => `${turning} ${from.join(style.dim(" · "))}`;
  const withBar = `${turning} ${bar} ${parts.join(style.dim(" · "))}`;
  if (textWidth(withBar) <= width) return withBar;
  for (let kept = parts.slice(); kept.length > 0; kept = kept.slice(0, -1)) {
    if (textWidth(text(kept)) <= width) return text(kept);
  }
  return cutText(`${done}/${all}`, width);
}

const barWidth = 16;

function progressBar(share: number, red: boolean, style: Style): string {
  const full = Math.min(barWidth, Math.floor(share * barWidth));
  const paint = red ? style.red : style.green;
  return paint("━".repeat(full)) + style.dim("─".repeat(barWidth - full));
}
