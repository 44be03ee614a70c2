// One task beside the list: why it is red, and what it printed.

import type { CallStarted } from "../../src/model/events.js";
import { taskLabel } from "../../src/model/pipeline.js";
import { isFinished, type Run } from "../../src/model/run.js";
import { workerName } from "../format.js";
import { lazy } from "../lazy.js";
import { hrefOf, type RunRoute, runHref } from "../route.js";
import { mayAct, type ShownTask } from "../state.js";
import { TaskFiles } from "../tests/task-files.js";
import { TaskServices } from "../tests/task-services.js";
import { Icon } from "./icons.js";
import { KeptNote } from "./kept-note.js";
import type { PageProps } from "./page.js";
import { Duration, StatusBadge } from "./status.js";
import { TaskNote } from "./task-note.js";
import { shortReason } from "./task-rows.js";

const OutputView = lazy(async () => (await import("../output/output-view.js")).OutputView);

/** Each of its commands may have run on another one. */
function Workers({ calls }: { calls: readonly CallStarted[] }) {
  const workers = [...new Set(calls.map(({ worker }) => worker))];
  if (workers.length === 0) return null;
  return (
    <span class="pane-workers">
      {workers.map((worker, index) => (
        <span key={worker}>
          {index === 0 ? "on" : ","} <bdi>{workerName(worker)}</bdi>
        </span>
      ))}
    </span>
  );
}

interface Props extends PageProps {
  readonly run: Run;
  readonly shown: ShownTask;
  readonly route: RunRoute;
}

export function TaskPane({ state, actions, run, shown: { ref, task }, route }: Props) {
  const label = taskLabel(ref);
  const attempts = task.attempts.length;
  const attempt = Math.min(route.attempt ?? attempts, attempts);
  const shown = task.attempts[attempt - 1];
  const { startedAt, finishedAt, calls, end, files, services, kept } = shown ?? {};
  const reason = shown ? shortReason(shown) : task.skippedBecause;
  const goTo = (change: Partial<RunRoute>) =>
    actions.go({ ...route, task: ref, ...change }, "replace");
  return (
    <section class="pane" aria-label={`Task ${label}`}>
      <header class="pane-heading">
        <a class="pane-back" href={runHref(run.id)} aria-label="Back to the run">
          <Icon name="back" />
        </a>
        <h2>
          <span class="quiet">
            <bdi>{ref.stage}</bdi>.
          </span>
          <bdi>{ref.task}</bdi>
        </h2>
        <StatusBadge status={end?.status ?? task.status} />
        <Duration from={startedAt ?? null} to={finishedAt ?? null} now={state.now} />
        <TaskNote task={task} isLink />
        <Workers calls={calls ?? []} />
        <span class="pane-buttons">
          <a
            class="button"
            href={hrefOf({ page: "history", pipeline: run.request.pipelineName })}
            title="History of the pipeline"
          >
            <Icon name="history" /> <span class="unseen">History</span>
          </a>
          {isFinished(run) && (
            <button
              type="button"
              disabled={!mayAct(state)}
              title={`Run ${label} alone again, on what run ${run.id} tested`}
              onClick={() => actions.rerun(run.id, { only: [label] })}
            >
              <Icon name="rerun" /> Rerun this
            </button>
          )}
          <button
            type="button"
            disabled={!mayAct(state)}
            title={`Run ${label} alone, on what there is now`}
            onClick={() => actions.start({ pipeline: run.request.pipelineName, only: [label] })}
          >
            <Icon name="play" /> Run this
          </button>
        </span>
      </header>
      {reason !== null && <pre class={`why is-${end?.status ?? task.status}`}>{reason}</pre>}
      {attempts > 0 && (
        <div class="pane-about" key={attempt}>
          <KeptNote
            run={run.id}
            attempt={{ ...ref, attempt }}
            kept={kept}
            workers={state.workers}
          />
          <TaskFiles run={run.id} attempt={{ ...ref, attempt }} files={files} />
          <TaskServices run={run.id} attempt={{ ...ref, attempt }} services={services} />
        </div>
      )}
      {attempts === 0 ? (
        <p class="quiet padded">
          {task.status === "skipped" ? "It did not run." : "It has not started yet."}
        </p>
      ) : (
        <OutputView
          run={run.id}
          stage={ref.stage}
          task={ref.task}
          attempt={attempt}
          attempts={attempts}
          isLive={finishedAt === null}
          isRed={end?.status === "failed" || end?.status === "errored"}
          calls={calls ?? []}
          sources={run.sources ?? []}
          services={services ?? {}}
          lines={route.lines}
          isConnected={state.connection === "open"}
          generation={state.generation}
          // A line without its attempt would be another one after a retry.
          chooseLines={(lines) => goTo({ lines, attempt: lines ? attempt : route.attempt })}
          chooseAttempt={(chosen) => goTo({ attempt: chosen, lines: null })}
        />
      )}
    </section>
  );
}
