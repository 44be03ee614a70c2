// A run as plain lines, one for each thing that happened, for pipes and CI logs.

import type { AttemptRef } from "../model/events.js";
import { type TaskRef, taskLabel } from "../model/pipeline.js";
import { eachTask, findTask, type Run, type TaskState } from "../model/run.js";
import { describeSource } from "../model/run-source.js";
import { clock, paintStatus, taskMs } from "./marks.js";
import { createPrinter, type Printer } from "./printer.js";
import { hintOf, reasonOf } from "./reason.js";
import { plainWidth, type RunView, type RunViewOptions } from "./run-view.js";
import { summaryLines } from "./summary.js";
import { describeTally, tallyStage } from "./tally.js";
import { printOutput } from "./task-block.js";
import { count, cutText, oneLine, padText, textWidth } from "./text.js";
import { treeNames } from "./tree.js";

/** A failed task's output in full, unless it is longer than anybody reads in a log. */
const failedTail = { lines: 1000, bytes: 1024 * 1024 };
const everything = { lines: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
/** A log that stands still is taken for a hang, also by the CI systems that kill silent jobs. */
const silenceMs = 30_000;

export function createPlainView(options: RunViewOptions): RunView {
  const { style } = options;
  const printer = createPrinter(options.out);
  const skippedStages = new Set<string>();
  let run: Run | null = null;
  let over = false;
  const queue: Printer["queue"] = (work) =>
    printer.queue((write) => (over ? undefined : work(write)));
  const line = (text: string) => queue((write) => write(`${text}\n`));

  const timer = setInterval(() => {
    if (run) for (const text of stillRunning(run)) line(style.dim(text));
  }, silenceMs);
  timer.unref();

  function loaded(now: Run) {
    const stages = now.stages.length;
    const tasks = now.stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
    line(
      `${style.bold(oneLine(options.pipedef))}  ${count(stages, "stage")}, ${count(tasks, "task")}`,
    );
    line(style.dim(`on ${oneLine(options.where)}`));
    for (const warning of now.pipeline?.warnings ?? []) line(`warning: ${oneLine(warning)}`);
  }

  function taskEnded(ref: AttemptRef | null, name: string, task: TaskState, now: Run) {
    line(taskLine(name, task, treeNames(now, plainWidth)));
    const hint = hintOf(task);
    if (hint) line(`    ${hint}`);
    if (!ref || options.output === "none") return;
    const status = task.attempts[ref.attempt - 1]?.end?.status;
    const red = status === "failed" || status === "errored";
    if (!red && options.output !== "all") return;
    const amount = options.output === "all" ? everything : failedTail;
    queue((write) => printOutput(ref, amount, options, write));
  }

  /** A stage that never started is one thing that happened, however many tasks it has. */
  function skipped(event: TaskRef & { readonly reason: string }, now: Run) {
    const stage = now.stages.find((one) => one.name === event.stage);
    if (!stage) return;
    if (stage.status !== "waiting") {
      const task = findTask(now, event);
      if (task) taskEnded(null, event.task, task, now);
      return;
    }
    if (skippedStages.has(stage.name)) return;
    skippedStages.add(stage.name);
    const what = `${count(stage.tasks.length, "task")}: ${oneLine(event.reason)}`;
    line(`\n${style.bold(oneLine(stage.name))}\n  ${style.dim(`skipped   ${what}`)}`);
  }

  function taskLine(name: string, task: TaskState, names: number): string {
    const isAgain = task.status === "queued";
    const word = padText(task.status === "failed" ? "FAILED" : isAgain ? "again" : task.status, 9);
    const ms = taskMs(task, Date.now());
    const right = ms === null ? "" : clock(ms);
    const lead = `  ${word} ${padText(oneLine(name), names)}`;
    const reason = reasonOf(task);
    const room = plainWidth - textWidth(lead) - right.length - 4;
    // The reason is why one reads the log: it is never cut, it may only push the time to the right.
    const detail = reason === "" ? "" : `  ${padText(reason, room)}`;
    const gap = reason === "" ? " ".repeat(Math.max(2, room + 4)) : "  ";
    const text = `  ${paintStatus(word, task.status, style)} ${padText(oneLine(name), names)}${detail}`;
    return right === "" ? text.trimEnd() : `${text}${gap}${style.dim(right)}`;
  }

  return {
    event({ event }, now) {
      run = now;
      switch (event.type) {
        case "run-loaded":
          return loaded(now);
        case "run-source":
          return line(style.dim(`tests ${oneLine(describeSource(event.source))}`));
        case "stage-started":
          return line(`\n${style.bold(oneLine(event.stage))}`);
        case "task-skipped":
          return skipped(event, now);
        case "attempt-finished": {
          timer.refresh();
          const task = findTask(now, event);
          if (task) taskEnded(event, event.task, task, now);
          return;
        }
        case "stage-finished": {
          const stage = now.stages.find((one) => one.name === event.stage);
          const tally = stage && tallyStage(stage);
          if (tally) line(style.dim(`  ${describeTally(tally)}`));
          return;
        }
        case "cancel-requested":
          return line(`\ncancelling, as asked by ${oneLine(event.by)}`);
        default:
          return;
      }
    },
    async finish(end) {
      clearInterval(timer);
      const lines = summaryLines(end, {
        style,
        width: plainWidth,
        rerunCommand: options.rerunCommand,
      });
      line(`\n${lines.join("\n")}`);
      await printer.idle();
    },
    abandon() {
      over = true;
      clearInterval(timer);
    },
  };
}

function stillRunning(run: Run): string[] {
  const running = [...eachTask(run)].filter(({ task }) => task.status === "running");
  if (running.length === 0) return [];
  const names = running
    .slice(0, 3)
    .map(({ ref, task }) => `${oneLine(taskLabel(ref))} (${clock(taskMs(task, Date.now()) ?? 0)})`);
  const more = running.length > 3 ? ` and ${running.length - 3} more` : "";
  return [cutText(`  still running: ${names.join(", ")}${more}`, 200)];
}
