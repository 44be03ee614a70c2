// Two runs: what went red, what went green, what became slower.

import { useMemo } from "preact/hooks";
import { taskKey, taskLabel } from "../../src/model/pipeline.js";
import type { Run, TaskState } from "../../src/model/run.js";
import { formatDuration, formatTime } from "../format.js";
import { hrefOf, runHref, taskHref } from "../route.js";
import { comparedRun } from "../state.js";
import { runUrl } from "../urls.js";
import { useKeys } from "../use-keys.js";
import { type Comparison, compareRuns, type TaskChange } from "./compare-runs.js";
import { Outdated } from "./outdated.js";
import type { PageProps } from "./page.js";
import { Duration, StatusBadge, StatusIcon } from "./status.js";
import { stepKeys } from "./step.js";

interface Props extends PageProps {
  readonly left: number;
  readonly right: number;
}

export function ComparePage({ state, actions, left, right }: Props) {
  const [before, after] = [left, right].map((id) => comparedRun(state, id));
  const group = "Compare";
  useKeys([
    ...stepKeys("task", group),
    {
      keys: "x",
      words: "The other way around",
      group,
      run: () => actions.go({ page: "compare", left: right, right: left }),
    },
  ]);
  const problem =
    [left, right].map((id) => state.fetched.get(runUrl(id))?.problem).find((words) => words) ??
    null;
  if (problem && !(before && after)) {
    return (
      <div class="empty">
        <h1>These runs cannot be compared</h1>
        <p>{problem}</p>
        <a href="/">To the pipelines</a>
      </div>
    );
  }
  if (!before || !after) return <p class="loading">Loading both runs...</p>;
  return (
    <div class="compare">
      <Outdated problem={problem} />
      <h1>
        Run {left} compared with run {right}
      </h1>
      <div class="compare-runs">
        <Side run={before} now={state.now} words="From" />
        <a
          class="button"
          href={hrefOf({ page: "compare", left: right, right: left })}
          aria-label="The other way around"
          title="The other way around (x)"
        >
          ⇄
        </a>
        <Side run={after} now={state.now} words="To" />
      </div>
      {before.request.pipelineName !== after.request.pipelineName && (
        <p class="warning">These are runs of different pipelines.</p>
      )}
      <Changes before={before} after={after} />
    </div>
  );
}

function Side({ run, now, words }: { run: Run; now: number; words: string }) {
  return (
    <section class={`compare-side is-${run.status}`} aria-label={`${words} run ${run.id}`}>
      <h2>
        <a href={runHref(run.id)}>Run {run.id}</a> <StatusBadge status={run.status} />
        <Duration from={run.startedAt} to={run.finishedAt} now={now} />
      </h2>
      <p class="quiet">
        <bdi>{run.request.pipelineName}</bdi>, <bdi>{run.request.trigger}</bdi>,{" "}
        {formatTime(run.request.at, now)}
      </p>
    </section>
  );
}

const sections: readonly {
  readonly kind: Exclude<keyof Comparison, "same">;
  readonly words: string;
}[] = [
  { kind: "wentRed", words: "Went red" },
  { kind: "stillRed", words: "Still red" },
  { kind: "noResult", words: "Without a result" },
  { kind: "wentGreen", words: "Went green" },
  { kind: "slower", words: "Slower" },
  { kind: "faster", words: "Faster" },
  { kind: "added", words: "New" },
  { kind: "gone", words: "Gone" },
];

/** Of more only the number is told. */
const maxListed = 200;

function Changes({ before, after }: { before: Run; after: Run }) {
  const found = useMemo(() => compareRuns(before, after), [before, after]);
  const shown = sections.filter(({ kind }) => found[kind].length > 0);
  return (
    <>
      {shown.length === 0 && <p>Every task ended as it did before, in about the same time.</p>}
      {shown.map(({ kind, words }) => (
        <section key={kind} class="changes" aria-labelledby={`title-${kind}`}>
          <h2 id={`title-${kind}`}>
            {words} <span class="number">{found[kind].length}</span>
          </h2>
          <ul>
            {found[kind].slice(0, maxListed).map((change) => (
              <Change key={taskKey(change.ref)} change={change} before={before} after={after} />
            ))}
          </ul>
          {found[kind].length > maxListed && (
            <p class="quiet">{found[kind].length - maxListed} more.</p>
          )}
        </section>
      ))}
      <p class="quiet numbers">
        {found.same} {found.same === 1 ? "task" : "tasks"} without a difference.
      </p>
    </>
  );
}

function Change({ change, before, after }: { change: TaskChange; before: Run; after: Run }) {
  const { ref, beforeMs, afterMs } = change;
  const run = change.after ? after.id : before.id;
  const growth = beforeMs && afterMs ? afterMs / beforeMs : null;
  const isTimed =
    change.before?.status === "passed" && change.after?.status === "passed" && growth !== null;
  return (
    <li>
      <a class="change" href={taskHref(run, ref)} data-item>
        <bdi class="mono">{taskLabel(ref)}</bdi>
        <End task={change.before} ms={beforeMs} />
        <span class="unseen">then</span>
        <span aria-hidden="true" class="quiet">
          →
        </span>
        <End task={change.after} ms={afterMs} />
        <span class="numbers change-growth">
          {isTimed && (growth >= 1 ? `${growth.toFixed(1)}×` : `÷ ${(1 / growth).toFixed(1)}`)}
        </span>
      </a>
    </li>
  );
}

function End({ task, ms }: { task: TaskState | null; ms: number | null }) {
  if (!task) return <span class="quiet">not there</span>;
  return (
    <span class={`change-end is-${task.status}`}>
      <StatusIcon status={task.status} /> {task.status}
      {ms !== null && <span class="duration">{formatDuration(ms)}</span>}
    </span>
  );
}
