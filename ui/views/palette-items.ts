// What the palette offers, and what fits the typed words.

import { taskLabel } from "../../src/model/pipeline.js";
import { isFinished } from "../../src/model/run.js";
import type { Actions } from "../actions.js";
import { formatCounts } from "../format.js";
import { hrefOf, runHref, taskHref } from "../route.js";
import { listedRuns, mayAct, type State, shownRun } from "../state.js";

export interface Item {
  readonly kind: "action" | "run it" | "pipeline" | "run" | "task";
  readonly words: string;
  readonly detail: string;
  run(): void;
}

export const maxFound = 60;

/** `mode` "run": only what can be started. */
export function itemsOf(state: State, actions: Actions, mode: "all" | "run"): Item[] {
  const items = mode === "all" ? [...actionsOf(state, actions), ...tasksOf(state, actions)] : [];
  if (mayAct(state)) items.push(...startable(state, actions));
  if (mode === "run") return items;
  for (const { name, pipedef } of state.pipelines ?? []) {
    const href = hrefOf({ page: "history", pipeline: name });
    items.push({ kind: "pipeline", words: name, detail: pipedef, run: () => actions.go(href) });
  }
  for (const { id, pipeline, status, tasks, trigger } of listedRuns(state)) {
    items.push({
      kind: "run",
      words: `#${id} ${pipeline}`,
      detail: `${status}, ${formatCounts(tasks)}, ${trigger}`,
      run: () => actions.go(runHref(id)),
    });
  }
  return items;
}

function actionsOf(state: State, { go, send, rerun, cancel }: Actions): Item[] {
  const items: Item[] = [];
  const add = (words: string, run: () => void, detail = "") =>
    items.push({ kind: "action", words, detail, run });
  const run = shownRun(state);
  if (run && mayAct(state)) {
    if (isFinished(run)) {
      add(`Run ${run.id} again`, () => rerun(run.id, {}), "r");
      if (run.status !== "passed")
        add(`Run again what did not pass in ${run.id}`, () => rerun(run.id, { failed: true }), "f");
    } else add(`Cancel run ${run.id}`, () => cancel(run.id), "c");
  }
  if (run) add(`Timeline of run ${run.id}`, () => go({ page: "timeline", run: run.id }), "t");
  add("Pipelines", () => go("/"), "g h");
  add("Workers", () => go("/workers"), "g w");
  add("Keys", () => send({ type: "overlay", overlay: { kind: "keys" } }), "?");
  return items;
}

function tasksOf(state: State, { go }: Actions): Item[] {
  const run = shownRun(state);
  if (!run) return [];
  return run.stages.flatMap((stage) =>
    stage.tasks.map(({ name, status }): Item => {
      const ref = { stage: stage.name, task: name };
      return {
        kind: "task",
        words: taskLabel(ref),
        detail: status,
        run: () => go(taskHref(run.id, ref)),
      };
    }),
  );
}

function startable(state: State, { start }: Actions): Item[] {
  return (state.pipelines ?? []).flatMap(({ name, pipeline }) => {
    if (!pipeline) return [];
    const item = (words: string, detail: string, only: string[]): Item => ({
      kind: "run it",
      words,
      detail,
      run: () => start({ pipeline: name, ...(only.length > 0 && { only }) }),
    });
    return [
      item(`Run ${name}`, "all of it", []),
      ...pipeline.stages.map((stage) => item(`Run ${name} ${stage.name}`, "stage", [stage.name])),
      ...pipeline.stages.flatMap((stage) =>
        stage.tasks.map((task) => {
          const label = taskLabel({ stage: stage.name, task: task.name });
          return item(`Run ${name} ${label}`, "task", [label]);
        }),
      ),
    ];
  });
}

/** Every typed word must be in it; those where one begins with the first word come first. */
export function findItems(items: readonly Item[], text: string): Item[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const [first] = words;
  if (first === undefined) return items.slice(0, maxFound);
  const fitting = items.filter((item) => {
    const hay = `${item.words} ${item.detail}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  });
  const starts = (item: Item) =>
    item.words
      .toLowerCase()
      .split(/[\s./#_-]+/)
      .some((part) => part.startsWith(first));
  return [...fitting.filter(starts), ...fitting.filter((item) => !starts(item))].slice(0, maxFound);
}
