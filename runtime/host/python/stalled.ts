import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { PipedefProblem } from "../host.js";
import { shownPath } from "../repo-root.js";

/** It comes in pieces, and ends with the bootstrap's frame, or with dots where there are very many. */
export function isWholeStack(dump: string): boolean {
  return /^ {2}(File "<string>", line \d+ in <module>|\.\.\.)\n/m.test(dump);
}

/** `dump` is what Python's faulthandler says: one line per frame, the innermost first. */
export function stalledProblem(stall: {
  readonly dump: string;
  readonly root: string;
  readonly pipedef: string;
  readonly afterMs: number;
}): PipedefProblem {
  const problem: PipedefProblem = {
    kind: "stalled",
    message: `loading did not end within ${stall.afterMs / 1000} s`,
    hint: "Loading only defines stages; work that takes time belongs into a task.",
  };
  for (const [, path = "", number] of stall.dump.matchAll(/^ {2}File "(.*)", line (\d+) in /gm)) {
    const file = shownPath(path, stall.root);
    if (isAbsolute(file)) continue;
    const line = Number(number);
    const sourceLine = readLine(path, line);
    return {
      ...problem,
      location: { file, line },
      ...(sourceLine !== undefined && { sourceLine }),
    };
  }
  return { ...problem, location: { file: shownPath(stall.pipedef, stall.root), line: 1 } };
}

function readLine(path: string, line: number): string | undefined {
  try {
    return readFileSync(path, "utf8").split(/\r?\n/)[line - 1];
  } catch {
    return undefined;
  }
}
