// A run on a terminal: a picture that moves at the bottom, and above it, for good, whatever failed.

import type { AttemptRef } from "../model/events.js";
import type { TaskEnd } from "../model/failure.js";
import { findTask, type Run } from "../model/run.js";
import { renderFrame } from "./frame.js";
import { createPrinter } from "./printer.js";
import type { RunView, RunViewOptions } from "./run-view.js";
import { Screen } from "./screen.js";
import { summaryLines } from "./summary.js";
import { printOutput, taskHeadline } from "./task-block.js";
import { oneLine } from "./text.js";
import { stagesOnly, wholeTree } from "./tree.js";

const frameMs = 80;
const failedTail = { lines: 25, bytes: 128 * 1024 };
const everything = { lines: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
/** After so many, failures get a line each: nobody reads the output of hundreds in a row. */
const mostTails = 15;
/** Up to here the end shows every task; beyond, one line a stage. */
const wholeTreeTasks = 40;

export function createLiveView(options: RunViewOptions): RunView {
  const { style, out } = options;
  const screen = new Screen(out);
  const printer = createPrinter(out);
  let run: Run | null = null;
  let tick = 0;
  let tails = 0;
  let over = false;

  const tree = (now: Run) => ({
    style,
    width: screen.columns - 1,
    now: now.finishedAt ?? Date.now(),
    tick,
  });
  const frame = () =>
    run
      ? renderFrame(run, {
          ...tree(run),
          // Two lines stay free: a block as high as the terminal would scroll with every frame, and tmux
          // keeps what is cleared from the very top, so each frame would stay in its history.
          height: screen.rows - 2,
          cancelling: run.cancelledBy !== null,
        })
      : [];
  const draw = (above = "") => {
    if (!over) screen.draw(frame(), above);
  };
  const onResize = () => draw();
  out.on("resize", onResize);
  const timer = setInterval(() => {
    tick++;
    // A terminal that does not keep up (a slow ssh) gets fewer frames, not a queue of old ones.
    if (!out.writableNeedDrain) draw();
  }, frameMs);

  function block(ref: AttemptRef, { status }: TaskEnd, now: Run) {
    const task = findTask(now, ref);
    if (!task) return;
    const red = status === "failed" || status === "errored";
    if (!red && options.output !== "all") return;
    const headline = `${taskHeadline(ref, task, options)}\n`;
    const quiet = options.output === "none" || (options.output === "failed" && tails >= mostTails);
    if (red) tails++;
    const amount = options.output === "all" ? everything : failedTail;
    printer.queue(async () => {
      let text = headline;
      const flush = () => {
        draw(text);
        text = "";
      };
      if (!quiet) {
        await printOutput(ref, amount, options, (piece) => {
          text += piece;
          if (text.length > 64 * 1024) flush();
        });
      }
      flush();
    });
  }

  return {
    event({ event }, now) {
      run = now;
      if (event.type === "attempt-finished") block(event, event.end, now);
      if (event.type === "run-loaded") {
        const warnings = event.pipeline.warnings.map(
          (warning) => `${style.yellow("warning:")} ${oneLine(warning)}\n`,
        );
        draw(
          `${style.bold(oneLine(options.pipedef))} ${style.dim(`on ${oneLine(options.where)}`)}\n${warnings.join("")}`,
        );
      }
      if (event.type === "cancel-requested") draw();
    },
    async finish(end) {
      run = end;
      await printer.idle();
      clearInterval(timer);
      out.off("resize", onResize);
      over = true;
      screen.clear();
      const tasks = end.stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
      const lines =
        tasks <= wholeTreeTasks ? wholeTree(end, tree(end)) : stagesOnly(end, tree(end));
      const summary = summaryLines(end, {
        style,
        width: screen.columns,
        rerunCommand: options.rerunCommand,
      });
      const all = [...lines, ...(lines.length > 0 ? [""] : []), ...summary];
      printer.queue((write) => write(`${all.join("\n")}\n`));
      await printer.idle();
    },
    abandon() {
      over = true;
      clearInterval(timer);
      out.off("resize", onResize);
      screen.release();
    },
  };
}
