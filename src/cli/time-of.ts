import { parseDurationMs } from "../lib/units.js";
import { usageError } from "./cli-error.js";

export function timeOf(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms === null) throw usageError(`--${flag} ${text} is no time`, "Times look like 90s or 5m.");
  return Math.ceil(ms);
}
