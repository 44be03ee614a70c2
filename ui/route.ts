// Where the reader is, as the part of the address behind "#", so that every place can be linked to.

import type { TaskRef } from "../src/model/pipeline.js";

export type Route =
  | { readonly page: "home" }
  | { readonly page: "run"; readonly run: number; readonly task: TaskRef | null };

export function parseRoute(hash: string): Route {
  const match = /^#\/runs\/(\d{1,15})(?:\/([^/]+)\/([^/]+))?$/.exec(hash);
  if (!match) return { page: "home" };
  const [, run, stage, task] = match;
  try {
    const ref =
      stage !== undefined && task !== undefined
        ? { stage: decodeURIComponent(stage), task: decodeURIComponent(task) }
        : null;
    return { page: "run", run: Number(run), task: ref };
  } catch {
    return { page: "home" };
  }
}

export function runHref(run: number): string {
  return `#/runs/${run}`;
}

export function taskHref(run: number, ref: TaskRef): string {
  return `#/runs/${run}/${encodeURIComponent(ref.stage)}/${encodeURIComponent(ref.task)}`;
}
