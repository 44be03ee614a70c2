import { asError } from "../../src/lib/as-error.js";
import type { Fault } from "../../src/model/failure.js";
import type { PipedefProblem } from "./host.js";

/** "pipedef.ts:3:14: message", the source line with a caret under the column, the hint. */
export function describeProblem(problem: PipedefProblem): string {
  const { location, sourceLine } = problem;
  const place = location
    ? `${location.file}:${location.line}${location.column ? `:${location.column}` : ""}: `
    : "";
  const lines = [`${place}${problem.message}`];
  if (location && sourceLine !== undefined) {
    const number = String(location.line);
    lines.push(`  ${number} | ${sourceLine}`);
    if (location.column) {
      const before = sourceLine.slice(0, location.column - 1).replace(/[^\t]/g, " ");
      lines.push(`  ${" ".repeat(number.length)} | ${before}^`);
    }
  }
  if (problem.stack) lines.push(problem.stack);
  if (problem.hint) lines.push(problem.hint);
  return lines.join("\n");
}

export function faultOfProblem(problem: PipedefProblem): Fault {
  const { hint, ...rest } = problem;
  return {
    message: `the pipedef cannot be loaded: ${describeProblem(rest)}`,
    ...(hint && { hint }),
    ...originOf(problem),
  };
}

/** Whose it is to mend: a machine without python3, or where nothing can be started, is not its author's. */
export function originOf({ kind }: PipedefProblem): Pick<Fault, "origin"> {
  return kind === "host" ? {} : { origin: "pipedef" };
}

/** Of a call that was not to reject. */
export function bossFault(error: unknown): Fault {
  return {
    message: `the boss could not see to a command: ${asError(error).message}`,
    hint: "This is a bug in bettertest, please report it.",
  };
}
