// What stands between the runs of a watch: why the next one starts, and what it waits for.

import { type TaskRef, taskLabel } from "../../model/pipeline.js";
import { jsonSchema, resultOfProblem } from "../../terminal/json-view.js";
import { plainWidth } from "../../terminal/run-view.js";
import { harmlessText, oneLine, padText, textWidth } from "../../terminal/text.js";
import { isLive, styleOf } from "../environment.js";
import { keyHelp } from "./keys.js";

export interface BetweenRuns {
  /** A run is about to start. */
  begin(cause: string, paths: readonly string[]): void;
  /** The run under way is no longer of interest. */
  superseded(run: number): void;
  /** There is nothing to run as long as this is so. */
  problem(text: string, exitCode: number): void;
  waiting(failed: readonly TaskRef[]): void;
  say(text: string): void;
  help(): void;
}

export interface BetweenRunsOptions {
  readonly out: NodeJS.WriteStream;
  readonly json: boolean;
  readonly clear: boolean;
  /** Whether somebody can press them. */
  readonly keys: boolean;
}

export function createBetweenRuns(options: BetweenRunsOptions): BetweenRuns {
  return options.json ? createLines(options.out) : createText(options);
}

function createLines(out: NodeJS.WriteStream): BetweenRuns {
  const line = (value: object) => void out.write(`${JSON.stringify(value)}\n`);
  return {
    begin: (cause, paths) => line({ schema: jsonSchema, type: "begin", cause, paths }),
    superseded: (run) => line({ type: "superseded", run }),
    problem: (problem, exitCode) => line(resultOfProblem(problem, exitCode)),
    waiting: (failed) => line({ type: "waiting", failed: failed.map(taskLabel) }),
    say: (note) => line({ type: "note", note }),
    help: () => {},
  };
}

function createText({ out, clear, keys }: BetweenRunsOptions): BetweenRuns {
  const style = styleOf(out);
  const live = isLive(out);
  const write = (text: string) => void out.write(text);
  let isFirst = true;
  return {
    begin(cause) {
      const time = new Date().toTimeString().slice(0, 8);
      const headline = `${style.dim(time)}  ${oneLine(cause)}`;
      if (live && clear) {
        // What was on the screen goes where one can scroll back to it.
        write(`${"\n".repeat(Math.max(0, (out.rows || 24) - 1))}\x1b[H\x1b[J${headline}\n\n`);
      } else if (isFirst) write(`${headline}\n`);
      else {
        const rest = plainWidth - textWidth(`${time}  ${oneLine(cause)}`) - 4;
        write(`\n── ${headline} ${"─".repeat(Math.max(2, rest))}\n\n`);
      }
      isFirst = false;
    },
    superseded() {
      if (!live || !clear) write(`\n${style.dim("stopped: there is something newer to run")}\n`);
    },
    problem: (text) =>
      write(`${style.bold("the pipedef cannot be used")}\n\n${harmlessText(text)}\n`),
    waiting(failed) {
      if (!keys) return write(`${style.dim("waiting for changes")}\n`);
      const some = failed.length > 0 ? ` · f: the ${failed.length} that failed` : "";
      write(`\n${style.dim(`waiting for changes · Enter: all${some} · q: quit · h: help`)}\n`);
    },
    say: (text) => write(`${style.dim(harmlessText(text))}\n`),
    help() {
      for (const [key, what] of keyHelp) write(`  ${style.bold(padText(key, 10))} ${what}\n`);
    },
  };
}
