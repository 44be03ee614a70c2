// One run: its verdict, its stages and tasks, and beside them the task that matters.

import { useMemo } from "preact/hooks";
import { describeFault } from "../../src/model/failure.js";
import { taskKey } from "../../src/model/pipeline.js";
import { isFinished, type Run, type TaskState } from "../../src/model/run.js";
import { type RunRoute, runHref, taskHref } from "../route.js";
import { type ShownTask, shownEntry, shownRun, shownTask } from "../state.js";
import { RunTests } from "../tests/run-tests.js";
import { useKeys } from "../use-keys.js";
import type { PageProps } from "./page.js";
import { RunFilter } from "./run-filter.js";
import { RunHeading } from "./run-heading.js";
import { type Row, rowsOf } from "./task-list.js";
import { TaskPane } from "./task-pane.js";
import { StageRow, TaskRow } from "./task-rows.js";
import { usualOf } from "./usual.js";
import { VirtualList } from "./virtual-list.js";

export function RunPage({ state, actions, route }: PageProps & { route: RunRoute }) {
  const entry = shownEntry(state);
  const run = shownRun(state);
  if (entry?.missing) return <MissingRun id={route.run} reason={entry.missing} />;
  if (!run) return <LoadingRun id={route.run} problem={entry?.problem ?? null} />;
  return <LoadedRun state={state} actions={actions} route={route} run={run} />;
}

export function MissingRun({ id, reason }: { id: number; reason: string }) {
  return (
    <div class="empty">
      <h1>Run {id} cannot be shown</h1>
      <p>{reason}</p>
      <p class="quiet">
        Old runs are removed after a while: <code>--keep-runs</code> and <code>--keep-days</code>{" "}
        say when. <code>bettertest runs</code> lists those there are.
      </p>
      <a href="/">To the pipelines</a>
    </div>
  );
}

export function LoadingRun({ id, problem }: { id: number; problem: string | null }) {
  if (problem === null) return <p class="loading">Loading run {id}...</p>;
  return (
    <p class="warning padded" role="alert">
      Run {id} has not come yet: {problem}. Trying again.
    </p>
  );
}

interface LoadedProps extends PageProps {
  readonly route: RunRoute;
  readonly run: Run;
}

function LoadedRun({ state, actions, route, run }: LoadedProps) {
  const { send, go } = actions;
  const { runPage, now } = state;
  const rows = useMemo(() => rowsOf(run, runPage), [run, runPage]);
  const shown = shownTask(state);
  const key = shown && taskKey(shown.ref);
  const usual = usualOf(state, run.request.pipelineName);

  const move = (step: 1 | -1) => {
    const tasks = rows.filter((row) => row.kind === "task");
    const at = tasks.findIndex((row) => taskKey(row.ref) === key);
    const next = tasks[at < 0 ? (step > 0 ? 0 : tasks.length - 1) : at + step];
    if (next) go(taskHref(run.id, next.ref), "replace");
  };
  const enter = () => {
    // On a narrow screen the task is seen only once it is chosen.
    if (shown && !route.task) go(taskHref(run.id, shown.ref));
    // Once that is drawn; from then on the keys that scroll scroll it.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".out-scroll")?.focus());
  };
  const group = "Run";
  useKeys([
    { keys: "j", words: "Next task", group, repeats: true, run: () => move(1) },
    { keys: "k", words: "Previous task", group, repeats: true, run: () => move(-1) },
    ...(shown ? [{ keys: "Enter", words: "Into the output of the task", group, run: enter }] : []),
    ...(route.task
      ? [{ keys: "Escape", words: "Back to the run", group, run: () => go(runHref(run.id)) }]
      : []),
  ]);
  if (run.stages.length === 0 && isFinished(run) && !run.fault)
    return (
      <>
        <RunHeading state={state} actions={actions} run={run} />
        <p class="quiet padded">It ended before its pipedef was loaded. No task has run.</p>
      </>
    );
  return (
    <>
      <RunHeading state={state} actions={actions} run={run} />
      <RunTests run={run} />
      {run.fault && (
        <div class="problem" role="alert">
          <b>The run could not do its work. No test is to blame.</b>
          <pre>{describeFault(run.fault)}</pre>
        </div>
      )}
      <div class={splitClass(route, shown)}>
        <section class="split-list scrolls" aria-label="Stages and tasks">
          <RunFilter
            page={runPage}
            run={run}
            send={(message) => send({ type: "run-page", message })}
          />
          {rows.length === 0 && run.stages.length > 0 && (
            <p class="quiet padded">No task fits the filter.</p>
          )}
          <VirtualList
            label="Stages and tasks"
            items={rows}
            heightOf={heightOf}
            keyOf={keyOf}
            current={key}
            render={(row) =>
              row.kind === "stage" ? (
                <StageRow stage={row.stage} number={row.number} />
              ) : (
                <TaskRow
                  href={taskHref(run.id, row.ref)}
                  task={row.task}
                  isShown={taskKey(row.ref) === key}
                  usualMs={usual(row.ref)}
                  now={row.task.status === "running" ? now : 0}
                />
              )
            }
          />
        </section>
        {shown && (
          <TaskPane
            key={taskKey(shown.ref)}
            state={state}
            actions={actions}
            run={run}
            shown={shown}
            route={route}
          />
        )}
      </div>
    </>
  );
}

/** On a narrow screen the task takes the list's place, but only if the reader chose one. */
function splitClass(route: RunRoute, shown: ShownTask | null): string {
  if (!shown) return "split";
  return route.task ? "split has-task is-chosen" : "split has-task";
}

function heightOf(row: Row): number {
  if (row.kind === "stage") return 40;
  return hasReason(row.task) ? 52 : 32;
}

function hasReason({ status }: TaskState): boolean {
  return status === "failed" || status === "errored";
}

function keyOf(row: Row): string {
  return row.kind === "stage" ? row.stage.name : taskKey(row.ref);
}
