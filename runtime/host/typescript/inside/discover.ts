// From a loaded pipedef to its stages. Reads only; no task runs.

import type { AskedServices } from "../../../../src/wire/service.js";
import { type FunctionalStage, isRetryCount, retryCounts } from "../../../task-context.js";
import type { DiscoveredStage, LoadFailure, Place } from "../messages.js";
import type { HandedOver } from "./declared-classes.js";
import { shortPath } from "./describe-thrown.js";
import {
  classStage,
  classTasks,
  exportedStages,
  type FoundStage,
  functionalStage,
  isStageClass,
  lineage,
  type StageClass,
} from "./found-stages.js";
import { placesOf } from "./places.js";
import { inSourceOrder, type PlacedStage, type PlacedTask, placeStages } from "./source-order.js";

export interface Discovery {
  readonly stages: readonly DiscoveredStage[];
  readonly warnings: readonly string[];
  /** What to call for a task. */
  find(stage: string, task: string): TaskCode | undefined;
}

export interface TaskCode {
  readonly run: () => unknown;
  /** For its commands, unless they have their own. */
  readonly services: AskedServices | undefined;
}

export type DiscoveryResult =
  | ({ readonly ok: true } & Discovery)
  | { readonly ok: false; readonly failure: LoadFailure };

export function discover(
  namespace: object,
  functional: readonly FunctionalStage[],
  source: {
    readonly order: readonly string[];
    readonly entry: string;
    /** What files have handed over, with the classes that they declare without exporting them. */
    readonly files: readonly HandedOver[];
  },
): DiscoveryResult {
  const classes = exportedStages(namespace);
  const found: FoundStage[] = [
    ...[...classes].map(([definition, exportName]) => classStage(definition, exportName)),
    ...functional.map(functionalStage),
  ];
  const placed = placeStages(found, source.files);
  const stages = inSourceOrder(placed, source);

  const failure =
    firstDuplicate(stages) ??
    firstBadAlways(stages) ??
    firstBadRetries(stages) ??
    firstBadServices(stages) ??
    noStage(stages, source.entry);
  if (failure) return { ok: false, failure };

  const forgotten = unreached(
    source.files.flatMap((file) => file.classes()),
    classes,
  );
  const forgottenPlaces = forgotten.length > 0 ? placesOf(forgotten, source.files) : [];
  const withTasks = stages.filter(({ tasks }) => tasks.length > 0);
  const runners = new Map(
    withTasks.flatMap(({ name, tasks, services }) => {
      const ofStage = services();
      return tasks.map(({ name: task, run }): [string, TaskCode] => [
        `${name}\0${task}`,
        { run, services: ofStage },
      ]);
    }),
  );
  return {
    ok: true,
    stages: withTasks.map(({ name, always, place, tasks }) => ({
      name,
      always: always === true,
      ...(place && { place }),
      tasks: tasks.map((task) => ({
        name: task.name,
        ...(task.place && { place: task.place }),
        ...(isRetryCount(task.retries) && task.retries > 0 && { retries: task.retries }),
      })),
    })),
    warnings: [
      ...stages
        .filter(({ tasks }) => tasks.length === 0)
        .map(
          (stage) =>
            `${shownPlace(stage.place)}stage ${stage.name} has no task, so nothing of it runs`,
        ),
      ...forgotten.map((definition, index) => {
        const place = forgottenPlaces[index];
        return `${shownPlace(place)}class ${definition.name} extends Stage but is not exported by the pipedef, so none of its tasks runs`;
      }),
    ],
    find: (stage, task) => runners.get(`${stage}\0${task}`),
  };
}

function firstDuplicate(stages: readonly PlacedStage[]): LoadFailure | undefined {
  const seen = new Map<string, PlacedStage>();
  for (const stage of stages) {
    const before = seen.get(stage.name);
    if (before) return duplicate(`two stages are named ${stage.name}`, stage.place, before.place);
    seen.set(stage.name, stage);
    const tasks = new Map<string, PlacedTask>();
    for (const task of stage.tasks) {
      const first = tasks.get(task.name);
      if (first) {
        const message = `stage ${stage.name} has two tasks named ${task.name}`;
        return duplicate(message, task.place, first.place);
      }
      tasks.set(task.name, task);
    }
  }
  return undefined;
}

function duplicate(
  message: string,
  place: Place | undefined,
  first: Place | undefined,
): LoadFailure {
  return {
    kind: "duplicate",
    message: first ? `${message} (the first is in line ${first.line})` : message,
    ...(place && { place }),
    hint: "Give one of them another name.",
  };
}

function firstBadAlways(stages: readonly PlacedStage[]): LoadFailure | undefined {
  const bad = stages.find(({ always }) => typeof always !== "boolean");
  if (!bad) return undefined;
  return {
    kind: "threw",
    message: `stage ${bad.name}: always must be true or false`,
    ...(bad.place && { place: bad.place }),
  };
}

function firstBadRetries(stages: readonly PlacedStage[]): LoadFailure | undefined {
  for (const { name, place, tasks } of stages) {
    const bad = tasks.find(({ retries }) => !isRetryCount(retries));
    if (!bad) continue;
    return {
      kind: "threw",
      message: `stage ${name}: retries of ${bad.name} must be ${retryCounts}`,
      ...(place && { place }),
    };
  }
  return undefined;
}

function firstBadServices(stages: readonly PlacedStage[]): LoadFailure | undefined {
  for (const { services, place } of stages) {
    try {
      services();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return { kind: "threw", message: error.message, ...(place && { place }) };
    }
  }
  return undefined;
}

function noStage(stages: readonly PlacedStage[], entry: string): LoadFailure | undefined {
  if (stages.some(({ tasks }) => tasks.length > 0)) return undefined;
  const [empty] = stages;
  return {
    kind: "empty",
    message: empty ? `stage ${empty.name} has no task` : "the pipedef has no stage",
    place: empty?.place ?? { file: entry, line: 1 },
    hint: "Export a class that extends Stage and has task_ methods, or call stage(name, { task() { ... } }).",
  };
}

function shownPlace(place: Place | undefined): string {
  return place ? `${shortPath(place.file)}:${place.line}: ` : "";
}

/** A class that looks like a stage but is out of reach: its tests would silently never run. */
function unreached(
  declared: readonly unknown[],
  exported: ReadonlyMap<StageClass, string>,
): StageClass[] {
  const reached = new Set([...exported.keys()].flatMap((definition) => [...lineage(definition)]));
  return declared
    .filter(isStageClass)
    .filter((definition) => !reached.has(definition) && classTasks(definition).length > 0);
}
