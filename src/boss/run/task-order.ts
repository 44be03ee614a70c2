import type { StageDefinition } from "../../model/pipeline.js";

/** How long a task usually takes; undefined where nobody knows. */
export type UsualMs = (stage: string, task: string) => number | undefined;

/**
 * Longest first: a stage ends when its last task does, and a long one that starts late is what everybody waits
 * for in the end. Unknown ones before all others: any of them may be the longest, and they are most likely new,
 * so what somebody waits to see. Among equals the order of the source, so alike runs start alike. Returns their
 * places in the stage.
 */
export function longestFirst(stage: StageDefinition, usualMs: UsualMs): number[] {
  const timed = stage.tasks.map(({ name }, place) => ({
    place,
    ms: usualMs(stage.name, name) ?? Number.POSITIVE_INFINITY,
  }));
  return timed.sort((a, b) => (a.ms === b.ms ? 0 : b.ms - a.ms)).map(({ place }) => place);
}
