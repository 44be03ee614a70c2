// What else there is to know of a task besides its status.

import { madeByRun } from "../../src/model/image-build.js";
import { attemptNote, cachedBuilds, type TaskState } from "../../src/model/run.js";
import { runHref } from "../route.js";

interface Props {
  readonly task: TaskState;
  /** Of a cached task it leads to the run that did the work. */
  readonly isLink?: boolean;
}

export function TaskNote({ task, isLink = false }: Props) {
  const note = attemptNote(task);
  if (note === null) return null;
  const cached = cachedBuilds(task);
  // To be cached is no reason for a closer look, unlike all others.
  const look = cached && task.attempts.length === 1 ? "note is-calm" : "note";
  const run = isLink ? madeByRun(cached ?? []) : null;
  if (run === null) return <span class={look}>{note}</span>;
  return (
    <a class={look} href={runHref(run)}>
      {note}
    </a>
  );
}
