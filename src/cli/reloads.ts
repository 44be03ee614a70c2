// What a serving boss prints when a pipedef is loaded again.

import type { Engine } from "../boss/engine.js";
import { count, harmlessText, oneLine } from "../terminal/text.js";
import type { PipelineView } from "../wire/boss.js";

/** From now on, until the signal is aborted. */
export async function sayReloads(
  engine: Pick<Engine, "changes" | "pipelines">,
  signal: AbortSignal,
  say: (view: PipelineView) => void,
): Promise<void> {
  const known = new Map(engine.pipelines.views().map((view) => [view.name, view]));
  for await (const _ of engine.changes.changes(signal)) {
    for (const view of engine.pipelines.views()) {
      if (known.get(view.name) === view) continue;
      known.set(view.name, view);
      say(view);
    }
  }
}

export function reloadLines({ name, pipeline, problem }: PipelineView): string[] {
  if (problem !== null) {
    const kept = pipeline ? "runs use it as it was before" : "it is loaded again when it is saved";
    return [
      `${oneLine(name)} cannot be used, ${kept}:`,
      ...harmlessText(problem)
        .split("\n")
        .map((line) => `  ${line}`),
    ];
  }
  const stages = pipeline?.stages ?? [];
  const tasks = stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
  return [
    `${oneLine(name)} is loaded again: ${count(stages.length, "stage")}, ${count(tasks, "task")}`,
  ];
}
