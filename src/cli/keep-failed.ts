import { longestKeptMs } from "../wire/well-known.js";
import { usageError } from "./cli-error.js";
import { timeOf } from "./time-of.js";

export interface KeepFailedFlags {
  readonly "keep-failed"?: string | undefined;
  readonly executor?: "docker" | "process" | undefined;
}

export function keepFailedSettings({ "keep-failed": text, executor }: KeepFailedFlags): {
  readonly keepFailedMs?: number;
} {
  if (text === undefined) return {};
  const keepFailedMs = text === "0" ? 0 : timeOf("keep-failed", text);
  if (keepFailedMs > longestKeptMs) throw usageError(`--keep-failed ${text} is more than 24 h`);
  if (executor === "process" && keepFailedMs > 0) {
    throw usageError(
      "--keep-failed needs containers",
      "What plain processes (--executor process) leave is on this machine anyway.",
    );
  }
  return { keepFailedMs };
}
