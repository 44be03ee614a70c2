import { usageError } from "./cli-error.js";

export function runId(given: string): number {
  const id = Number(given.replace(/^#/, ""));
  if (!Number.isInteger(id) || id < 1) {
    throw usageError(`"${given}" is no run: runs have numbers`, "See: bettertest runs");
  }
  return id;
}
