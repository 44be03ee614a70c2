// Files of a repo by pattern. Node has fs.glob only from 22 on.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const skipped = new Set(["node_modules", ".git"]);

/** Sorted, relative to the root, with "/" between the parts. A leading dot must be written out. */
export function findFiles(root: string, pattern: string): string[] {
  if (pattern.startsWith("/") || pattern.split("/").includes("..")) {
    throw new TypeError(
      `files: ${JSON.stringify(pattern)} leaves the repo; patterns start at its root`,
    );
  }
  const alternatives = expandBraces(pattern.replace(/^\.\//, "")).map((one) =>
    one.split("/").map(segmentMatcher),
  );
  const found: string[] = [];
  walk(root, "", alternatives, found);
  return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Null stands for `**`: any number of folders, also none. */
type Segment = RegExp | null;

function walk(root: string, folder: string, patterns: readonly Segment[][], found: string[]): void {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  for (const entry of entries) {
    if (skipped.has(entry.name)) continue;
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    const rest = patterns.flatMap((segments) => advance(segments, entry.name));
    if (rest.length === 0) continue;
    if (entry.isDirectory()) walk(root, path, rest, found);
    else if (entry.isSymbolicLink() && !isFile(join(root, path))) continue;
    else if (rest.some((segments) => segments.every((segment) => segment === null))) {
      // A pattern that ends in "**" means files below a folder; one used up by this name means this file.
      found.push(path);
    }
  }
}

/** Linked folders are not entered: they may lead in circles. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** What is left to match below an entry of this name; empty where nothing can. */
function advance(segments: readonly Segment[], name: string): Segment[][] {
  const [first, ...rest] = segments;
  if (first === undefined) return [];
  if (first === null) {
    const deeper = name.startsWith(".") ? [] : [[...segments]];
    return [...deeper, ...advance(rest, name)];
  }
  return first.test(name) ? [rest] : [];
}

function segmentMatcher(segment: string): Segment {
  if (segment === "**") return null;
  const source = segment
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*+/g, "[^/]*")
    .replace(/\?/g, "[^/]");
  return new RegExp(segment.startsWith(".") ? `^${source}$` : `^(?!\\.)${source}$`, "s");
}

/** "a.{js,ts}" is "a.js" and "a.ts"; braces may hold braces. */
function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf("{");
  if (open < 0) return [pattern];
  let depth = 0;
  let start = open + 1;
  const parts: string[] = [];
  for (let i = open; i < pattern.length; i += 1) {
    const char = pattern[i];
    if (char === "{") depth += 1;
    if (char === "," && depth === 1) {
      parts.push(pattern.slice(start, i));
      start = i + 1;
    }
    if (char !== "}") continue;
    depth -= 1;
    if (depth > 0) continue;
    parts.push(pattern.slice(start, i));
    const before = pattern.slice(0, open);
    const after = pattern.slice(i + 1);
    return parts.flatMap((part) => expandBraces(before + part + after));
  }
  return [pattern];
}
