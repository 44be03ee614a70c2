import type { WorkerView } from "../../src/wire/boss.js";

/** Null: no time is set; undefined: its worker does not have it any more. */
export function keptUntil(id: string, workers: readonly WorkerView[]): number | null | undefined {
  for (const { status, info } of workers) {
    const mark = status === "connected" ? info?.kept?.find((one) => one.id === id) : undefined;
    if (mark) return mark.until;
  }
  return undefined;
}
