// Where a pipedef's paths start.

import { basename, dirname, relative, sep } from "node:path";
import type { SourceLocation } from "../../src/model/pipeline.js";
import type { Place } from "./typescript/messages.js";

/** The folder that holds .bettertest, where the pipedef lies in one; else the pipedef's own. */
export function repoRoot(pipedef: string): string {
  const folder = dirname(pipedef);
  return basename(folder) === ".bettertest" ? dirname(folder) : folder;
}

export function shownPath(file: string, root: string): string {
  const path = relative(root, file);
  return path.startsWith("..") ? file : path.split(sep).join("/");
}

export function shownLocation({ file, line, column }: Place, root: string): SourceLocation {
  return { file: shownPath(file, root), line, ...(column !== undefined && { column }) };
}
