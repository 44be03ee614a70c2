// An exception as its author wants to read it: message, own lines with TypeScript positions, causes.

import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { isMachinery } from "./machinery.js";

let root = "/";

/** Paths are shown relative to it. */
export function setStackRoot(repo: string): void {
  root = repo;
}

export function describeThrown(error: unknown): { message: string; details: string } {
  if (error instanceof Error) {
    const message = error.name === "Error" ? error.message : `${error.name}: ${error.message}`;
    return {
      message: message.slice(0, 10_000) || error.name,
      details: tidyStack(inspect(error, { depth: 4 })),
    };
  }
  const shown = typeof error === "string" ? error : inspect(error, { depth: 4 });
  return { message: `threw ${shown.slice(0, 10_000)}`, details: `threw ${shown}` };
}

export function tidyStack(stack: string): string {
  return stack
    .split("\n")
    .filter((line) => !isHiddenFrame(line))
    .map((line) =>
      /^\s+at /.test(line)
        ? line.replace(/(?:file:\/\/)?(\/[^()]*?)(?=:\d+:\d+\)?)/, shownPath)
        : line,
    )
    .join("\n");
}

function isHiddenFrame(line: string): boolean {
  const frame = /^\s+at (.*)$/.exec(line)?.[1];
  if (frame === undefined) return false;
  return (
    /\(?node:/.test(frame) || frame === "new Promise (<anonymous>)" || isMachinery(framePath(frame))
  );
}

/** "name (file:///path:1:2)", "async /path:1:2", "/path:1:2" */
function framePath(frame: string): string {
  const place = /(?:file:\/\/)?\/[^()]*(?=:\d+:\d+\)?$)/.exec(frame)?.[0] ?? "";
  return place.startsWith("file:") ? fileURLToPath(place) : place;
}

function shownPath(whole: string, path: string): string {
  return shortPath(whole.startsWith("file:") ? fileURLToPath(whole) : path);
}

export function shortPath(file: string): string {
  const short = relative(root, file);
  return short.startsWith("..") ? file : short;
}
