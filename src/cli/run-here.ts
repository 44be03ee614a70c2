// One run of one pipedef in this process, shown as it happens.

import type { AttemptRef } from "../model/events.js";
import { exitCodes } from "../model/exit-code.js";
import type { TaskRef } from "../model/pipeline.js";
import type { BegunScan } from "../source/scan.js";
import { resultOfProblem, startOf } from "../terminal/json-view.js";
import type { OutputChoice, RunView } from "../terminal/run-view.js";
import { harmlessText } from "../terminal/text.js";
import { version } from "../version.js";
import type { PipelineView } from "../wire/boss.js";
import { usageError } from "./cli-error.js";
import { shortPath } from "./find-pipedef.js";
import { exitCodeOfProblem, exitCodeOfRun, followRun } from "./follow-run.js";
import { aborted, type Interrupts } from "./interrupt.js";
import type { Notes } from "./notes.js";
import { createRunView } from "./run-view.js";
import { runAgain } from "./say-again.js";
import type { Session } from "./session.js";

export interface RunHere {
  /** Where the pipedef is. */
  readonly path: string;
  readonly pipedef: string;
  /** Of the working tree, where one is likely to be asked for. */
  readonly begun?: BegunScan | undefined;
  readonly only: readonly string[] | undefined;
  readonly keepGoing: boolean;
  readonly output: OutputChoice | undefined;
  readonly json: boolean;
  /** The command that runs just that task, as this one runs all. */
  readonly rerunCommand: (ref: TaskRef) => string;
}

interface RunHereArgs {
  readonly pipedef?: string | undefined;
  readonly only?: readonly string[] | undefined;
  readonly "keep-going": boolean;
  readonly output?: OutputChoice | undefined;
  readonly json: boolean;
}

/** As it was typed; `path` is the pipedef that was found. */
export function runHereOf(args: RunHereArgs, path: string): RunHere {
  return {
    path,
    pipedef: shortPath(path),
    only: args.only,
    keepGoing: args["keep-going"],
    output: args.output,
    json: args.json,
    rerunCommand: (ref) => runAgain(ref, args.pipedef, args),
  };
}

export async function runInSession(
  { engine, where }: Session,
  { interrupts, notes }: { readonly interrupts: Interrupts; readonly notes: Notes },
  request: RunHere,
): Promise<number> {
  // While the pipedef loads.
  const workspace = engine.prepareWorkspace(request.path, request.begun);
  // A first load says whether the pipedef is sound and --only names tasks that exist.
  const ready = await Promise.race([
    engine.pipelines.ready.then(() => true),
    aborted(interrupts.signal).then(() => false),
  ]);
  if (!ready) return exitCodes.cancelled;
  const view = engine.pipelines.views()[0];
  if (view && view.problem !== null) return reportProblem(view, { where, ...request });

  const started = engine.start({
    ...(request.only && { only: [...request.only] }),
    keepGoing: request.keepGoing,
    trigger: "cli",
    workspace,
  });
  if (!started.ok) throw usageError(started.error, "See what there is: bettertest check");
  const id = started.run;

  notes.hold();
  const shown = viewOfRun(id, engine, { where, ...request });
  interrupts.onExit(() => shown.abandon());
  void aborted(interrupts.signal).then(() => engine.cancel(id, interrupts.by()));
  const never = new AbortController().signal;
  const run = await followRun(engine.log.follow({ run: id, after: 0, signal: never }), shown);
  notes.release();
  return run ? exitCodeOfRun(run) : exitCodes.errored;
}

export function viewOfRun(
  id: number,
  engine: Session["engine"],
  request: RunHere & { readonly where: string },
): RunView {
  return createRunView({
    ...request,
    readOutput: (ref) => readOutput(ref),
  });

  async function* readOutput(attempt: AttemptRef) {
    const pipeline = engine.store.run(id)?.pipeline;
    if (pipeline) yield* engine.outputs.follow({ run: id, pipeline, attempt });
  }
}

function reportProblem(
  view: PipelineView,
  { pipedef, json, where }: RunHere & { readonly where: string },
): number {
  const problem = view.problem ?? "";
  const exitCode = exitCodeOfProblem(view);
  if (json) {
    const start = startOf({ version, pipedef, where });
    const result = resultOfProblem(problem, exitCode);
    process.stdout.write(`${JSON.stringify(start)}\n${JSON.stringify(result)}\n`);
  } else {
    process.stderr.write(`bettertest: the pipedef cannot be used\n\n${harmlessText(problem)}\n`);
  }
  return exitCode;
}
