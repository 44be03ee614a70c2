// Runs a pipedef again whenever the repo has changed. Worker, boss and what they keep warm stay; a run that a newer
// change has overtaken is cancelled.

import { resolve } from "node:path";
import { repoRoot } from "../../../runtime/host/repo-root.js";
import type { FoundWorkspace } from "../../boss/run/sources.js";
import { asError } from "../../lib/as-error.js";
import { Bell } from "../../lib/bell.js";
import type { RunCreated } from "../../model/events.js";
import { exitCodes } from "../../model/exit-code.js";
import { type Pipeline, type TaskRef, taskKey, taskPosition } from "../../model/pipeline.js";
import { eachTask, type Run } from "../../model/run.js";
import { TreeWatch } from "../../source/tree-watch.js";
import { count } from "../../terminal/text.js";
import { infrastructureError, usageError } from "../cli-error.js";
import { exitCodeOfProblem, followRun } from "../follow-run.js";
import { aborted, type Interrupts } from "../interrupt.js";
import type { Notes } from "../notes.js";
import { type RunHere, viewOfRun } from "../run-here.js";
import type { Session } from "../session.js";
import { createBetweenRuns } from "./between-runs.js";
import { type Key, readKeys } from "./keys.js";

export interface WatchHere extends RunHere {
  readonly clear: boolean;
}

/** Why something is to run; what a person asks for outranks what was heard. */
type Cause = "start" | "change" | "all" | "failed";

interface RunUnderWay {
  readonly id: number;
  /** Nobody looks on any more. */
  readonly leave: AbortController;
  readonly shown: Promise<void>;
}

export async function watchInSession(
  { engine, where }: Session,
  { interrupts, notes }: { readonly interrupts: Interrupts; readonly notes: Notes },
  request: WatchHere,
): Promise<number> {
  const { json, clear, path } = request;
  const quit = new AbortController();
  const signal = AbortSignal.any([interrupts.signal, quit.signal]);
  const hasKeys = !json && process.stdin.isTTY === true;
  const between = createBetweenRuns({ out: process.stdout, json, clear, keys: hasKeys });
  const tree = new TreeWatch(repoRoot(resolve(path)), {
    onTrouble: (message) => {
      // Nobody could ever tell it to run again.
      if (!hasKeys && message.includes("no change is noticed")) fail(message);
      else notes.add(`bettertest: ${message}`);
    },
  });
  const failed = new Map<string, TaskRef>();
  const bell = new Bell();
  let wanted: Cause | null = "start";
  let trouble: Error | null = null;
  /** The tree that was tested last; null: the next one is another one in any case. */
  let tested: string | null = null;
  /** The run that did; one of the same tree again may want what it has left. */
  let last: RunCreated["again"];
  let underWay: RunUnderWay | null = null;

  function want(cause: Cause): void {
    // What failed is first in a run of all, too.
    const isMore = wanted === "change" && cause === "failed";
    if (wanted === null || (cause !== "change" && !isMore)) wanted = cause;
    bell.ring();
  }

  function fail(message: string): void {
    trouble = infrastructureError(message);
    quit.abort();
  }

  function onKey(key: Key): void {
    if (key === "quit") quit.abort();
    else if (key === "stop") {
      if (underWay) engine.cancel(underWay.id, "a key");
    } else if (key === "help") {
      if (!underWay) between.help();
    } else if (key === "failed" && failed.size === 0) {
      if (!underWay) between.say("nothing has failed");
    } else want(key);
  }

  async function look(): Promise<FoundWorkspace | null> {
    try {
      return await engine.lookAtWorkspace(path);
    } catch (error) {
      // Where it matters the run says so, too; where no command wants the tree it does not matter.
      notes.add(`bettertest: ${asError(error).message}`);
      return null;
    }
  }

  async function run(cause: Cause): Promise<void> {
    // 1. What there is to run, and on what.
    const [found] = await Promise.all([look(), engine.pipelines.reload()]);
    if (found) {
      const hasGit = "dirty" in found.source;
      const files = engine.pipelines.files();
      tree.know(found.manifest, { hasGit, beside: files }).catch((error) => {
        notes.add(`bettertest: not every change is noticed: ${asError(error).message}`);
      });
    }
    const beside = tree.takeBeside();
    if (cause === "change" && found?.source.tree === tested && !beside) return;
    if (signal.aborted) return;

    // 2. What runs is outdated.
    const before = underWay;
    underWay = null;
    if (before) {
      engine.cancel(before.id, "a newer run");
      // As lines of JSON both may be told at the same time.
      if (!json) {
        before.leave.abort();
        await before.shown;
      }
      between.superseded(before.id);
      if (signal.aborted) return;
    }

    // 3. The new one.
    const isSame = found !== null && found.source.tree === tested && !beside;
    // Of a run of some the others are still to be tested on what has changed.
    if (cause !== "failed") tested = found?.source.tree ?? null;
    const changed = cause === "change" ? shownPaths(found?.changed ?? []) : [];
    between.begin(words(cause, changed), changed);
    const view = engine.pipelines.views()[0];
    if (!view?.pipeline || view.problem !== null) {
      between.problem(view?.problem ?? "", exitCodeOfProblem(view ?? {}));
      return between.waiting([...failed.values()]);
    }
    const first = stillThere(failed, view.pipeline);
    const started = engine.start({
      ...(cause === "failed" && first.length > 0
        ? { tasks: first }
        : request.only && { only: [...request.only] }),
      first,
      ...(isSame && last && { again: last }),
      keepGoing: request.keepGoing,
      trigger: "watch",
      ...(found && { workspace: found }),
    });
    if (!started.ok) {
      if (cause === "start") throw usageError(started.error, "See what there is: bettertest check");
      between.problem(started.error, exitCodes.usage);
      return between.waiting(first);
    }
    last = { run: started.run, at: engine.store.run(started.run)?.request.at ?? 0 };
    const leave = new AbortController();
    const shown = show(started.run, leave.signal);
    const now = { id: started.run, leave, shown };
    underWay = now;
    void shown.then(() => {
      remember(engine.store.run(now.id), failed);
      if (underWay !== now) return;
      underWay = null;
      if (!signal.aborted) between.waiting([...failed.values()]);
    });
  }

  async function show(id: number, left: AbortSignal): Promise<void> {
    notes.hold();
    const view = viewOfRun(id, engine, { where, ...request });
    const isOver = interrupts.onExit(() => view.abandon());
    await followRun(engine.log.follow({ run: id, after: 0, signal: left }), view);
    isOver();
    notes.release();
  }

  async function endLast(): Promise<void> {
    if (!underWay) return;
    engine.cancel(underWay.id, interrupts.signal.aborted ? interrupts.by() : "a key");
    await underWay.shown;
  }

  async function hear(): Promise<void> {
    for await (const _ of tree.changes(signal)) want("change");
  }

  using _keys = readKeys(process.stdin, onKey);
  void hear();
  try {
    while (!signal.aborted) {
      const cause: Cause | null = wanted;
      wanted = null;
      if (cause === null) await bell.heard(signal);
      else await Promise.race([run(cause), aborted(signal)]);
    }
  } finally {
    tree.close();
  }
  // Ended in order; what it has found so far is shown.
  await endLast();
  if (trouble) throw trouble;
  // Whoever watches until told to stop has done what it was for.
  return exitCodes.passed;
}

/** Of a run that was cut short, what it still found out counts, and else what was known before. */
function remember(run: Run | undefined, failed: Map<string, TaskRef>): void {
  if (!run) return;
  for (const { ref, task } of eachTask(run)) {
    if (task.status === "passed") failed.delete(taskKey(ref));
    if (task.status === "failed" || task.status === "errored") failed.set(taskKey(ref), ref);
  }
}

function stillThere(failed: ReadonlyMap<string, TaskRef>, pipeline: Pipeline): TaskRef[] {
  return [...failed.values()].filter((ref) => taskPosition(pipeline, ref) !== undefined);
}

function shownPaths(paths: readonly string[]): string[] {
  return paths.map((path) => Buffer.from(path, "latin1").toString());
}

const mostNamed = 3;

function words(cause: Cause, changed: readonly string[]): string {
  if (cause === "start") return "watching";
  if (cause === "all") return "all again";
  if (cause === "failed") return "what failed, again";
  const named = changed.slice(0, mostNamed).join(", ");
  const more = changed.length - mostNamed;
  if (changed.length === 0) return "the pipedef has changed";
  return `${named}${more > 0 ? ` and ${count(more, "other file")}` : ""} changed`;
}
