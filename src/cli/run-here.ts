// One run of one pipedef in this process, shown as it happens.

import type { AttemptRef } from "../model/events.js";
import { exitCodes } from "../model/exit-code.js";
import { type TaskRef, taskLabel } from "../model/pipeline.js";
import { shellWord } from "../model/shell-word.js";
import { jsonSchema } from "../terminal/json-view.js";
import type { OutputChoice, RunView } from "../terminal/run-view.js";
import { harmlessText } from "../terminal/text.js";
import { usageError } from "./cli-error.js";
import { programName } from "./environment.js";
import { shortPath } from "./find-pipedef.js";
import { exitCodeOfRun, followRun } from "./follow-run.js";
import { aborted, type Interrupts } from "./interrupt.js";
import type { Notes } from "./notes.js";
import { createRunView } from "./run-view.js";
import type { Session } from "./session.js";

export interface RunHere {
  /** Where the pipedef is. */
  readonly path: string;
  readonly pipedef: string;
  /** As it was typed; undefined where it was found. */
  readonly named: string | undefined;
  readonly only: readonly string[] | undefined;
  readonly keepGoing: boolean;
  readonly output: OutputChoice | undefined;
  readonly json: boolean;
  readonly executor: string | undefined;
  readonly workers: readonly string[] | undefined;
  readonly secretsFile: string | undefined;
}

interface RunHereArgs {
  readonly pipedef?: string | undefined;
  readonly only?: readonly string[] | undefined;
  readonly "keep-going": boolean;
  readonly output?: OutputChoice | undefined;
  readonly json: boolean;
  readonly executor?: string | undefined;
  readonly worker?: readonly string[] | undefined;
  readonly "secrets-file"?: string | undefined;
}

/** As it was typed; `path` is the pipedef that was found. */
export function runHereOf(args: RunHereArgs, path: string): RunHere {
  return {
    path,
    pipedef: shortPath(path),
    named: args.pipedef,
    only: args.only,
    keepGoing: args["keep-going"],
    output: args.output,
    json: args.json,
    executor: args.executor,
    workers: args.worker,
    secretsFile: args["secrets-file"],
  };
}

export async function runInSession(
  { engine, where }: Session,
  { interrupts, notes }: { readonly interrupts: Interrupts; readonly notes: Notes },
  request: RunHere,
): Promise<number> {
  // While the pipedef loads.
  const workspace = engine.prepareWorkspace(request.path);
  // A first load says whether the pipedef is sound and --only names tasks that exist.
  const ready = await Promise.race([
    engine.pipelines.ready.then(() => true),
    aborted(interrupts.signal).then(() => false),
  ]);
  if (!ready) return exitCodes.cancelled;
  const problem = engine.pipelines.views()[0]?.problem;
  if (problem != null) return reportProblem(problem, request);

  const started = engine.start({
    ...(request.only && { only: [...request.only] }),
    keepGoing: request.keepGoing,
    trigger: "cli",
    workspace,
  });
  if (!started.ok) throw usageError(started.error, "See what there is: bettertest check");
  const id = started.run;

  notes.hold();
  const view = viewOfRun(id, engine, { where, ...request });
  interrupts.onExit(() => view.abandon());
  void aborted(interrupts.signal).then(() => engine.cancel(id, interrupts.by()));
  const never = new AbortController().signal;
  const run = await followRun(engine.log.follow({ run: id, after: 0, signal: never }), view);
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
    rerunCommand: (ref) => rerunCommand(ref, request),
  });

  async function* readOutput(attempt: AttemptRef) {
    const pipeline = engine.store.run(id)?.pipeline;
    if (pipeline) yield* engine.outputs.follow({ run: id, pipeline, attempt });
  }
}

function reportProblem(problem: string, { pipedef, json }: RunHere): number {
  if (json) {
    const start = { schema: jsonSchema, type: "start", pipedef };
    const result = { type: "result", verdict: "errored", problem, exitCode: exitCodes.usage };
    process.stdout.write(`${JSON.stringify(start)}\n${JSON.stringify(result)}\n`);
  } else {
    process.stderr.write(`bettertest: the pipedef cannot be used\n\n${harmlessText(problem)}\n`);
  }
  return exitCodes.usage;
}

function rerunCommand(ref: TaskRef, { named, executor, workers, secretsFile }: RunHere): string {
  return [
    `${programName()} run`,
    ...(named === undefined ? [] : [shellWord(named)]),
    `--only ${shellWord(taskLabel(ref))}`,
    ...(executor === undefined ? [] : [`--executor ${executor}`]),
    ...(secretsFile === undefined ? [] : [`--secrets-file ${shellWord(secretsFile)}`]),
    ...(workers ?? []).map((url) => `--worker ${shellWord(url)}`),
  ].join(" ");
}
