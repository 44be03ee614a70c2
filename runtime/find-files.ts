// Files of a repo by pattern. Node has fs.glob only from 22 on.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type FilePattern, filePattern, patternProblem } from "../src/lib/file-pattern.js";

const skipped = new Set(["node_modules", ".git"]);

/** Sorted, relative to the root, with "/" between the parts. A leading dot must be written out. */
export function findFiles(root: string, pattern: string): string[] {
  if (pattern.startsWith("/") || pattern.split("/").includes("..")) {
    throw new TypeError(
      `files: ${JSON.stringify(pattern)} leaves the repo; patterns start at its root`,
    );
  }
  const problem = patternProblem(pattern);
  if (problem !== null) throw new TypeError(`files: ${JSON.stringify(pattern)} ${problem}`);
  const found: string[] = [];
  walk(root, "", filePattern(pattern), found);
  return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

function walk(root: string, folder: string, pattern: FilePattern, found: string[]): void {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (skipped.has(entry.name)) continue;
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.isDirectory()) {
      if (pattern.mayMatchIn(path)) walk(root, path, pattern, found);
    } else if (pattern.matches(path)) {
      if (!entry.isSymbolicLink() || isFile(join(root, path))) found.push(path);
    }
  }
}

/** Linked folders are not entered: they may lead in circles. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
