// Puts stages in the order of the source. The keys of a module's namespace are sorted, so their order says
// nothing; where the engine saw each class and call does.

import type { Place } from "../messages.js";
import type { HandedOver } from "./declared-classes.js";
import type { FoundStage, FoundTask } from "./found-stages.js";
import { framesOf, type Locatable, placesOf } from "./places.js";

export interface PlacedTask extends FoundTask {
  readonly place?: Place;
}

export interface PlacedStage extends FoundStage {
  readonly place?: Place;
  /** Where the entry or an import of it came by when it made this stage; what the order goes by. */
  readonly positions: readonly Place[];
  readonly tasks: readonly PlacedTask[];
}

export function placeStages(
  found: readonly FoundStage[],
  files: readonly HandedOver[],
): PlacedStage[] {
  const functions: Locatable[] = [];
  for (const { definition, tasks } of found) {
    if (definition) functions.push(definition);
    for (const task of tasks) functions.push(task.definition);
  }
  const places = new Map<Locatable, Place>();
  placesOf(functions, files).forEach((place, index) => {
    if (place) places.set(functions[index]!, place);
  });
  return found.map((stage) => {
    const frames = framesOf(stage.calledAt?.stack);
    const place = stage.definition ? places.get(stage.definition) : frames[0];
    return {
      ...stage,
      ...(place && { place }),
      positions: stage.calledAt ? frames : place ? [place] : [],
      tasks: stage.tasks.map((task) => {
        const taskPlace = places.get(task.definition);
        return { ...task, ...(taskPlace && { place: taskPlace }) };
      }),
    };
  });
}

/** By file, in the order in which files ran; then by line. Stages of a loop keep the loop's order. */
export function inSourceOrder(
  stages: readonly PlacedStage[],
  { order }: { readonly order: readonly string[] },
): PlacedStage[] {
  const rank = new Map(order.map((file, index) => [file, index]));
  const keyed = stages.map((stage, index) => {
    // A helper may make the stage: what counts is the line of the outermost own file that led there.
    const outermost =
      [...stage.positions].reverse().find(({ file }) => rank.has(file)) ?? stage.positions[0];
    return {
      stage,
      key: [
        outermost ? (rank.get(outermost.file) ?? order.length) : order.length + 1,
        outermost?.line ?? 0,
        outermost?.column ?? 0,
        index,
      ] as const,
    };
  });
  keyed.sort((a, b) => {
    for (let i = 0; i < a.key.length; i += 1) {
      const difference = a.key[i]! - b.key[i]!;
      if (difference !== 0) return difference;
    }
    return 0;
  });
  return keyed.map(({ stage }) => stage);
}
