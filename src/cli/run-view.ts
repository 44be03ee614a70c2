// Which of the views a command gets.

import type { AttemptRef } from "../model/events.js";
import type { TaskRef } from "../model/pipeline.js";
import { createJsonView } from "../terminal/json-view.js";
import { createLiveView } from "../terminal/live-view.js";
import { createPlainView } from "../terminal/plain-view.js";
import type { OutputChoice, RunView } from "../terminal/run-view.js";
import { version } from "../version.js";
import { isLive, styleOf } from "./environment.js";
import { exitCodeOfRun } from "./follow-run.js";

export interface ChosenView {
  readonly json: boolean;
  readonly output: OutputChoice | undefined;
  readonly pipedef: string;
  readonly where: string;
  readonly readOutput: (ref: AttemptRef) => AsyncIterable<Uint8Array>;
  readonly rerunCommand: (ref: TaskRef) => string;
}

export function createRunView(options: ChosenView): RunView {
  const out = process.stdout;
  if (options.json) {
    return createJsonView({
      ...options,
      out,
      version,
      output: options.output ?? "none",
      exitCodeOf: exitCodeOfRun,
    });
  }
  const shared = { ...options, out, style: styleOf(out), output: options.output ?? "failed" };
  return isLive(out) ? createLiveView(shared) : createPlainView(shared);
}
