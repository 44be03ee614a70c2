// The stages a loaded pipedef has made, as classes or by calls, in no order yet.

import type { AskedServices } from "../../../../src/wire/service.js";
import { Stage } from "../../../api.js";
import { checkedServices } from "../../../services.js";
import type { FunctionalStage } from "../../../task-context.js";
import type { Locatable } from "./places.js";

export type StageClass = typeof Stage;

export interface FoundTask {
  readonly name: string;
  readonly run: () => unknown;
  /** Of a class, whatever its author wrote. */
  readonly retries: unknown;
  /** What the engine knows the place of. */
  readonly definition: Locatable;
  readonly calledAt?: Error;
}

export interface FoundStage {
  readonly name: string;
  /** Of a class, whatever its author wrote. */
  readonly always: unknown;
  /** Throws where a class has what cannot be. */
  readonly services: () => AskedServices | undefined;
  readonly tasks: readonly FoundTask[];
  readonly definition?: StageClass;
  readonly calledAt?: Error;
}

/** Each exported class once, whatever the number of its names, with the first of them. */
export function exportedStages(namespace: object): Map<StageClass, string> {
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

export function isStageClass(value: unknown): value is StageClass {
  return typeof value === "function" && value.prototype instanceof Stage;
}

export function classStage(definition: StageClass, exportName: string): FoundStage {
  return {
    name: definition.name || exportName,
    always: Reflect.get(definition, "always") ?? false,
    services: () => {
      const services: unknown = Reflect.get(definition, "services");
      const what = `stage ${definition.name || exportName}`;
      return services === undefined ? undefined : checkedServices(what, services);
    },
    definition,
    tasks: classTasks(definition),
  };
}

/** Inherited tasks come first; one that a subclass defines again keeps its turn. */
export function classTasks(definition: StageClass): FoundTask[] {
  const ofClass = new Map<string, Omit<FoundTask, "retries">>();
  const ofInstance = new Map<string, Omit<FoundTask, "retries">>();
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
  const found = [...ofClass.values(), ...ofInstance.values()];
  const retries: unknown = Reflect.get(definition, "retries") ?? 0;
  if (typeof retries !== "object" || retries === null) {
    return found.map((task) => ({ ...task, retries }));
  }
  return found.map((task) => ({ ...task, retries: Reflect.get(retries, task.name) ?? 0 }));
}

export function* lineage(definition: StageClass): Generator<StageClass> {
  for (let level: unknown = definition; isStageClass(level); level = Object.getPrototypeOf(level))
    yield level;
}

function taskMethods(holder: object): [string, (this: unknown) => unknown][] {
  return Object.getOwnPropertyNames(holder)
    .filter((name) => /^(?:task|build)_/.test(name))
    .flatMap((name) => {
      const value: unknown = Object.getOwnPropertyDescriptor(holder, name)?.value;
      if (typeof value !== "function") return [];
      // One that wants something is a helper, which the tasks call.
      const isHelper = name.startsWith("build_") && value.length > 0;
      return isHelper ? [] : [[name, value as (this: unknown) => unknown]];
    });
}

export function functionalStage({
  name,
  always,
  services,
  tasks,
  calledAt,
}: FunctionalStage): FoundStage {
  return {
    name,
    always,
    services: () => services,
    calledAt,
    tasks: tasks.map((task) => ({ ...task, definition: task.run })),
  };
}
