// A run as NDJSON: a header, every event as it is stored, output lines where asked for, a result.

import type { AttemptRef } from "../model/events.js";
import { eachTask, filesOf, findTask, isFlaky, type Run, type TaskState } from "../model/run.js";
import { commandOfTest } from "../model/test-results.js";
import { eachLine } from "./output.js";
import { createPrinter } from "./printer.js";
import { hintOf, reasonOf } from "./reason.js";
import type { RunView, RunViewOptions } from "./run-view.js";
import { tallyRun } from "./tally.js";

/** Grows when a reader of an older one could go wrong. New fields and types of lines do not. */
export const jsonSchema = 1;

export interface JsonViewOptions
  extends Pick<RunViewOptions, "out" | "output" | "readOutput" | "pipedef" | "where"> {
  readonly version: string;
  readonly exitCodeOf: (run: Run) => number;
}

export function createJsonView(options: JsonViewOptions): RunView {
  const printer = createPrinter(options.out);
  const line = (value: object) => printer.queue((write) => write(`${JSON.stringify(value)}\n`));
  line({
    schema: jsonSchema,
    type: "start",
    version: options.version,
    pipedef: options.pipedef,
    where: options.where,
  });

  function output(ref: AttemptRef, now: Run) {
    const status = findTask(now, ref)?.status;
    const red = status === "failed" || status === "errored";
    if (options.output === "none" || (options.output === "failed" && !red)) return;
    const { stage, task, attempt } = ref;
    printer.queue(async (write) => {
      for await (const text of eachLine(options.readOutput(ref))) {
        const value = { type: "output", run: now.id, stage, task, attempt, line: text };
        await write(`${JSON.stringify(value)}\n`);
      }
    });
  }

  return {
    event(logged, now) {
      const { seq, run, event } = logged;
      line({ type: "event", seq, run, event });
      if (event.type === "attempt-finished") output(event, now);
    },
    async finish(run) {
      line({ type: "result", ...resultOf(run), exitCode: options.exitCodeOf(run) });
      await printer.idle();
    },
    abandon: () => {},
  };
}

/** By name, where results files name them. */
function failingTestsOf(task: TaskState) {
  const failing = filesOf(task).flatMap(({ tests }) =>
    (tests?.failures ?? []).map((test) => ({
      ...test,
      command: commandOfTest(test, tests?.framework),
    })),
  );
  return failing.length === 0 ? {} : { failedTests: failing };
}

function resultOf(run: Run) {
  const tasks = [...eachTask(run)];
  const started = run.startedAt ?? run.request.at;
  return {
    run: run.id,
    verdict: run.status,
    durationMs: (run.finishedAt ?? started) - started,
    counts: tallyRun(run),
    notPassed: tasks
      .filter(({ task }) => task.status !== "passed")
      .map(({ ref, task }) => ({
        ...ref,
        status: task.status,
        reason: reasonOf(task) || null,
        hint: hintOf(task),
        ...failingTestsOf(task),
      })),
    flaky: tasks
      .filter(({ task }) => isFlaky(task))
      .map(({ ref, task }) => ({ ...ref, attempts: task.attempts.length })),
    fault: run.fault,
  };
}
