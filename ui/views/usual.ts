// What tasks usually take, by the runs before.

import { type TaskRef, taskKey } from "../../src/model/pipeline.js";
import type { UsualView } from "../../src/wire/boss.js";
import { answerTo } from "../fetched.js";
import type { State } from "../state.js";
import { usualUrl } from "../urls.js";

const indexes = new WeakMap<UsualView, ReadonlyMap<string, number>>();

/** Null where nothing is known of the task. */
export function usualOf(state: State, pipeline: string): (ref: TaskRef) => number | null {
  const usual = answerTo<UsualView>(state.fetched, usualUrl(pipeline));
  if (!usual) return () => null;
  let index = indexes.get(usual);
  if (!index) {
    index = new Map(usual.tasks.map((task) => [taskKey(task), task.ms]));
    indexes.set(usual, index);
  }
  const known = index;
  return (ref) => known.get(taskKey(ref)) ?? null;
}

export function usualRunMs(state: State, pipeline: string): number | null {
  return answerTo<UsualView>(state.fetched, usualUrl(pipeline))?.runMs ?? null;
}
