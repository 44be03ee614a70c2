// From a loaded pipedef to its stages. Reads only; no task runs.

import { Stage } from "../../../api.js";
import type { FunctionalStage } from "../../../task-context.js";
import type { DiscoveredStage, LoadFailure, Place } from "../messages.js";
import { shortPath } from "./describe-thrown.js";
import { framesOf, type Locatable, placesOf } from "./places.js";

export interface Discovery {
  readonly stages: readonly DiscoveredStage[];
  readonly warnings: readonly string[];
  /** What to call for a task. */
  find(stage: string, task: string): (() => unknown) | undefined;
}

export type DiscoveryResult =
  | ({ readonly ok: true } & Discovery)
  | { readonly ok: false; readonly failure: LoadFailure };

type StageClass = typeof Stage;
type Callable = Locatable;

interface FoundTask {
  readonly name: string;
  readonly run: () => unknown;
  /** What the engine knows the place of. */
  readonly definition: Callable;
  readonly calledAt?: Error;
}

interface FoundStage {
  readonly name: string;
  /** Of a class, whatever its author wrote. */
  readonly always: unknown;
  readonly tasks: readonly FoundTask[];
  readonly definition?: StageClass;
  readonly calledAt?: Error;
}

export function discover(
  namespace: object,
  functional: readonly FunctionalStage[],
  source: {
    readonly order: readonly string[];
    readonly entry: string;
    /** Classes that files declare without exporting them there. */
    readonly declared: readonly unknown[];
  },
): DiscoveryResult {
  const classes = exportedStages(namespace);
  const found: FoundStage[] = [
    ...[...classes].map(([definition, exportName]) => classStage(definition, exportName)),
    ...functional.map(functionalStage),
  ];
  const placed = placeStages(found);
  const stages = inSourceOrder(placed, source);

  const failure = firstDuplicate(stages) ?? firstBadAlways(stages) ?? noStage(stages, source.entry);
  if (failure) return { ok: false, failure };

  const forgotten = unreached(source.declared, classes);
  const forgottenPlaces = forgotten.length > 0 ? placesOf(forgotten) : [];
  const withTasks = stages.filter(({ tasks }) => tasks.length > 0);
  const runners = new Map(
    withTasks.flatMap(({ name, tasks }) =>
      tasks.map((task) => [`${name}\0${task.name}`, task.run]),
    ),
  );
  return {
    ok: true,
    stages: withTasks.map(({ name, always, place, tasks }) => ({
      name,
      always: always === true,
      ...(place && { place }),
      tasks: tasks.map((task) => ({ name: task.name, ...(task.place && { place: task.place }) })),
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

/** Each exported class once, whatever the number of its names, with the first of them. */
function exportedStages(namespace: object): Map<StageClass, string> {
  const classes = new Map<StageClass, string>();
  const collect = (values: object, depth: number) => {
    for (const [name, value] of Object.entries(values)) {
      if (isStageClass(value)) {
        if (!classes.has(value) || name !== "default") classes.set(value, name);
      } else if (depth === 0 && (name === "default" || name === "module.exports")) {
        // What a CommonJS file exports is the default of its namespace.
        if (typeof value === "object" && value !== null) collect(value, 1);
      }
    }
  };
  collect(namespace, 0);
  return classes;
}

function isStageClass(value: unknown): value is StageClass {
  return typeof value === "function" && value.prototype instanceof Stage;
}

function classStage(definition: StageClass, exportName: string): FoundStage {
  return {
    name: definition.name || exportName,
    always: Reflect.get(definition, "always") ?? false,
    definition,
    tasks: classTasks(definition),
  };
}

/** Inherited tasks come first; one that a subclass defines again keeps its turn. */
function classTasks(definition: StageClass): FoundTask[] {
  const ofClass = new Map<string, FoundTask>();
  const ofInstance = new Map<string, FoundTask>();
  for (const level of [...lineage(definition)].reverse()) {
    for (const [name, method] of taskMethods(level)) {
      ofClass.set(name, { name, run: () => method.call(definition), definition: method });
    }
    for (const [name, method] of taskMethods(level.prototype)) {
      // A fresh instance for each attempt: tasks run side by side, and must not meet in `this`.
      const run = () => method.call(Reflect.construct(definition, []));
      ofInstance.set(name, { name, run, definition: method });
    }
  }
  // Both lists, unmerged: a name in both is reported as a duplicate.
  return [...ofClass.values(), ...ofInstance.values()];
}

function* lineage(definition: StageClass): Generator<StageClass> {
  for (let level: unknown = definition; isStageClass(level); level = Object.getPrototypeOf(level))
    yield level;
}

function taskMethods(holder: object): [string, (this: unknown) => unknown][] {
  return Object.getOwnPropertyNames(holder)
    .filter((name) => name.startsWith("task_"))
    .flatMap((name) => {
      const value: unknown = Object.getOwnPropertyDescriptor(holder, name)?.value;
      return typeof value === "function" ? [[name, value as (this: unknown) => unknown]] : [];
    });
}

function functionalStage({ name, always, tasks, calledAt }: FunctionalStage): FoundStage {
  return {
    name,
    always,
    calledAt,
    tasks: tasks.map((task) => ({ ...task, definition: task.run })),
  };
}

interface PlacedTask extends FoundTask {
  readonly place?: Place;
}

interface PlacedStage extends FoundStage {
  readonly place?: Place;
  /** Where the entry or an import of it came by when it made this stage; what the order goes by. */
  readonly positions: readonly Place[];
  readonly tasks: readonly PlacedTask[];
}

function placeStages(found: readonly FoundStage[]): PlacedStage[] {
  const functions: Callable[] = [];
  for (const { definition, tasks } of found) {
    if (definition) functions.push(definition);
    for (const task of tasks) functions.push(task.definition);
  }
  const places = new Map<Callable, Place>();
  placesOf(functions).forEach((place, index) => {
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
function inSourceOrder(
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
