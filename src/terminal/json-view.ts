// A run as NDJSON: a header, every event as it is stored, output lines where asked for, a result.

import type { AttemptRef } from "../model/events.js";
import type { TaskEnd } from "../model/failure.js";
import { eachTask, filesOf, isFlaky, type Run, type TaskState } from "../model/run.js";
import { commandOfTest } from "../model/test-results.js";
import { eachJsonLine } from "./output.js";
import { createPrinter } from "./printer.js";
import { hintOf, reasonOf } from "./reason.js";
import type { RunView, RunViewOptions } from "./run-view.js";
import { noTasks, tallyRun } from "./tally.js";

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
  line(startOf(options));

  function output(ref: AttemptRef, { status }: TaskEnd, now: Run) {
    const red = status === "failed" || status === "errored";
    if (options.output === "none" || (options.output === "failed" && !red)) return;
    const { stage, task, attempt } = ref;
    printer.queue(async (write) => {
      for await (const text of eachJsonLine(options.readOutput(ref))) {
        const value = { type: "output", run: now.id, stage, task, attempt, ...text };
        await write(`${JSON.stringify(value)}\n`);
      }
    });
  }

  return {
    event(logged, now) {
      const { seq, run, event } = logged;
      line({ type: "event", seq, run, event });
      if (event.type === "attempt-finished") output(event, event.end, now);
    },
    async finish(run) {
      line({ type: "result", ...resultOf(run), exitCode: options.exitCodeOf(run) });
      await printer.idle();
    },
    abandon: () => {},
  };
}

/** The first line. */
export function startOf({
  version,
  pipedef,
  where,
}: Pick<JsonViewOptions, "version" | "pipedef" | "where">) {
  return { schema: jsonSchema, type: "start", version, pipedef, where };
}

/** The last one, where there was nothing to run. */
export function resultOfProblem(problem: string, exitCode: number) {
  return {
    type: "result",
    verdict: "errored",
    durationMs: 0,
    counts: noTasks,
    notPassed: [],
    flaky: [],
    fault: { message: problem },
    problem,
    exitCode,
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
