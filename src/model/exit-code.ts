import type { RunVerdict } from "./failure.js";

/** The documented exit codes of every command. */
export const exitCodes = { passed: 0, failed: 1, usage: 2, errored: 3, cancelled: 130 } as const;

export function exitCodeOf(verdict: RunVerdict): number {
  return exitCodes[verdict];
}
