import type { StageDefinition, TaskRef } from "../../model/pipeline.js";

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

/** Those before the others, and else in the order given. */
export function theseFirst(
  first: readonly TaskRef[],
  stage: StageDefinition,
  places: readonly number[],
): number[] {
  const names = new Set(first.filter((ref) => ref.stage === stage.name).map(({ task }) => task));
  const isFirst = (place: number) => names.has(stage.tasks[place]!.name);
  return [...places.filter(isFirst), ...places.filter((place) => !isFirst(place))];
}
