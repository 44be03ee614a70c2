// What a pipedef defines. Loading a pipedef makes one of these; nothing in it can run.

export interface Pipeline {
  readonly stages: readonly StageDefinition[];
  /** Things the author should know although the pipedef loads: a class that is never exported, ... */
  readonly warnings: readonly string[];
}

export interface StageDefinition {
  readonly name: string;
  readonly tasks: readonly TaskDefinition[];
  /** Runs also after a red stage, for instance to clean up. */
  readonly always: boolean;
}

export interface TaskDefinition {
  readonly name: string;
  readonly location?: SourceLocation;
  /** How often it is tried again after a red attempt; absent: never. */
  readonly retries?: number;
}

export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/** Names one task of a pipeline. Stage and task names are unique, so the pair is too. */
export interface TaskRef {
  readonly stage: string;
  readonly task: string;
}

/** How people read and type a task. Not a key: "a.b" + "c" and "a" + "b.c" look the same. */
export function taskLabel(ref: TaskRef): string {
  return `${ref.stage}.${ref.task}`;
}

export function taskKey(ref: TaskRef): string {
  return `${ref.stage}\0${ref.task}`;
}

export function allTasks(pipeline: Pipeline): TaskRef[] {
  return pipeline.stages.flatMap((stage) =>
    stage.tasks.map((task) => ({ stage: stage.name, task: task.name })),
  );
}

/** Of its stage, and in it; undefined where the pipeline has no such task. */
export function taskPosition(
  pipeline: Pipeline,
  { stage, task }: TaskRef,
): readonly [number, number] | undefined {
  return positionsOf(pipeline).get(stage)?.get(task);
}

type Positions = ReadonlyMap<string, ReadonlyMap<string, readonly [number, number]>>;

/** Made once a pipeline, since every event needs it; by stage and task, so that nobody puts a key together. */
function positionsOf(pipeline: Pipeline): Positions {
  let positions = positionCache.get(pipeline);
  if (!positions) {
    positions = new Map(
      pipeline.stages.map(({ name, tasks }, s) => [
        name,
        new Map(tasks.map((task, t) => [task.name, [s, t] as const])),
      ]),
    );
    positionCache.set(pipeline, positions);
  }
  return positions;
}

const positionCache = new WeakMap<Pipeline, Positions>();

export type Selection =
  | { readonly ok: true; readonly tasks: readonly TaskRef[] }
  | { readonly ok: false; readonly unknown: string; readonly suggestions: readonly string[] };

/** Turns what a user typed (`Stage` or `Stage.task`, names may hold dots) into tasks, in pipeline order. */
export function selectTasks(pipeline: Pipeline, patterns: readonly string[]): Selection {
  const every = allTasks(pipeline);
  const chosen = new Set<string>();
  for (const pattern of patterns) {
    const hits = every.filter((ref) => ref.stage === pattern || taskLabel(ref) === pattern);
    if (hits.length === 0) {
      const names = [...pipeline.stages.map((stage) => stage.name), ...every.map(taskLabel)];
      return { ok: false, unknown: pattern, suggestions: closest(pattern.slice(0, 200), names) };
    }
    for (const ref of hits) chosen.add(taskKey(ref));
  }
  return { ok: true, tasks: every.filter((ref) => chosen.has(taskKey(ref))) };
}

function closest(wanted: string, names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, distance: editDistance(wanted.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Single-letter changes from one to the other; words that hold the other count as near. */
function editDistance(a: string, b: string): number {
  if (a.includes(b) || b.includes(a)) return 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
    }
    row = next;
  }
  return row[b.length]!;
}
