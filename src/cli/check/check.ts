// `bettertest check`: what a pipedef defines, or what is wrong with it.

import { readFileSync } from "node:fs";
import type { LoadResult } from "../../../runtime/host/host.js";
import { describeProblem, originOf } from "../../../runtime/host/problem.js";
import { exitCodes } from "../../model/exit-code.js";
import type { Pipeline, SourceLocation } from "../../model/pipeline.js";
import type { Style } from "../../terminal/style.js";
import { count, harmlessText, oneLine, padText } from "../../terminal/text.js";
import { nameWidth } from "../../terminal/tree.js";
import { printJson } from "../boss-access.js";
import { styleOf } from "../environment.js";
import { shortPath } from "../find-pipedef.js";
import type { HostFlags } from "../host-settings.js";
import { loadPipedef } from "./load.js";
import { checkTypes, type TypeCheck, type TypeProblem } from "./types.js";

interface CheckFlags extends HostFlags {
  readonly types: boolean;
  readonly json: boolean;
}

export async function checkPipedef(pipedef: string, flags: CheckFlags): Promise<number> {
  const [loaded, types] = await Promise.all([
    loadPipedef(pipedef, flags, (bytes) =>
      process.stderr.write(harmlessText(Buffer.from(bytes).toString())),
    ),
    flags.types
      ? checkTypes(pipedef).catch((error: Error): TypeCheck => ({ ran: false, why: error.message }))
      : ({ ran: false, why: "--no-types" } satisfies TypeCheck),
  ]);
  const ok = loaded.ok && (!types.ran || types.problems.length === 0);
  if (flags.json) printJson(machineReport(pipedef, ok, loaded, types));
  else printReport(pipedef, loaded, types);
  if (ok) return exitCodes.passed;
  const isAuthors = loaded.ok || originOf(loaded.problem).origin === "pipedef";
  return isAuthors ? exitCodes.usage : exitCodes.errored;
}

function machineReport(pipedef: string, ok: boolean, loaded: LoadResult, types: TypeCheck) {
  return {
    pipedef,
    ok,
    stages: loaded.ok ? loaded.pipeline.stages : [],
    warnings: loaded.ok ? loaded.pipeline.warnings : [],
    problem: loaded.ok ? null : loaded.problem,
    typesChecked: types.ran,
    typeErrors: types.ran ? types.problems : [],
  };
}

function printReport(pipedef: string, loaded: LoadResult, types: TypeCheck): void {
  if (!loaded.ok) {
    const text = harmlessText(describeProblem(shortened(loaded.problem)));
    process.stderr.write(`bettertest: the pipedef cannot be used\n\n${text}\n`);
    return;
  }
  const out = styleOf(process.stdout);
  process.stdout.write(`${pipelineLines(pipedef, loaded.pipeline, out).join("\n")}\n`);
  const style = styleOf(process.stderr);
  for (const warning of loaded.pipeline.warnings) {
    process.stderr.write(`\n${style.yellow("warning:")} ${harmlessText(warning)}\n`);
  }
  if (!types.ran) {
    if (!["not TypeScript", "--no-types"].includes(types.why)) {
      process.stderr.write(
        `\n${style.yellow("warning:")} types were not checked: ${oneLine(types.why)}\n`,
      );
    }
    return;
  }
  if (types.problems.length === 0) return;
  process.stderr.write(`\n${style.red(count(types.problems.length, "type error"))}\n`);
  for (const problem of types.problems) {
    process.stderr.write(`\n${harmlessText(describeTypeProblem(problem))}\n`);
  }
}

function describeTypeProblem({ file, line, column, code, message }: TypeProblem): string {
  const sourceLine = lineOf(file, line);
  return describeProblem({
    kind: "syntax",
    message: `${message} (${code})`,
    location: { file: shortPath(file), line, column },
    ...(sourceLine !== undefined && { sourceLine }),
  });
}

function lineOf(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, "utf8").split(/\r?\n/)[line - 1];
  } catch {
    return undefined;
  }
}

function shortened<P extends { readonly location?: SourceLocation }>(problem: P): P {
  const { location } = problem;
  return location
    ? { ...problem, location: { ...location, file: shortPath(location.file) } }
    : problem;
}

function pipelineLines(pipedef: string, pipeline: Pipeline, style: Style): string[] {
  const tasks = pipeline.stages.flatMap((stage) => stage.tasks);
  const names = nameWidth(
    tasks.map((task) => oneLine(task.name)),
    80,
  );
  return [
    `${style.bold(shortPath(pipedef))}  ${count(pipeline.stages.length, "stage")}, ${count(tasks.length, "task")}`,
    ...pipeline.stages.flatMap((stage) => [
      `\n${style.bold(oneLine(stage.name))}${stage.always ? style.dim("  always") : ""}`,
      ...stage.tasks.map((task) => {
        const place = task.location ? `${shortPath(task.location.file)}:${task.location.line}` : "";
        return `  ${padText(oneLine(task.name), names)}  ${style.dim(place)}`.trimEnd();
      }),
    ]),
  ];
}
