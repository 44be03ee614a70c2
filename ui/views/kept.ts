import type { AttemptRef } from "../../src/model/events.js";
import { taskLabel } from "../../src/model/pipeline.js";
import { shellWord } from "../../src/model/shell-word.js";
import type { WorkerView } from "../../src/wire/boss.js";

/** Null: no time is set; undefined: its worker does not have it any more. */
export function keptUntil(id: string, workers: readonly WorkerView[]): number | null | undefined {
  for (const { status, info } of workers) {
    const mark = status === "connected" ? info?.kept?.find((one) => one.id === id) : undefined;
    if (mark) return mark.until;
  }
  return undefined;
}

interface Sandbox {
  readonly run: number;
  readonly attempt: AttemptRef;
  /** Null: the only one that the attempt has left. */
  readonly call: number | null;
  /** Where the boss is. */
  readonly origin: string;
}

/** What leads into a sandbox from any machine that reaches the boss. */
export function enterCommand({ run, attempt, call, origin }: Sandbox): string {
  return [
    `npx bettertest shell ${run} ${shellWord(taskLabel(attempt))}`,
    attempt.attempt > 1 && `--attempt ${attempt.attempt}`,
    call !== null && `--call ${call}`,
    `--boss ${origin}`,
  ]
    .filter(Boolean)
    .join(" ");
}
