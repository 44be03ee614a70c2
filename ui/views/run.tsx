import { Component } from "preact";
import { describeFailure, describeFault } from "../../src/model/failure.js";
import { taskKey } from "../../src/model/pipeline.js";
import {
  attemptNote,
  isFinished,
  type Run,
  type StageState,
  type TaskState,
  type TaskStatus,
  verdictOf,
} from "../../src/model/run.js";
import type { Actions } from "../effects.js";
import { formatCounts, formatTime } from "../format.js";
import { taskHref } from "../route.js";
import { type State, shownRun, shownTask } from "../state.js";
import { Duration, StatusBadge, StatusIcon } from "./status.js";
import { TaskPane } from "./task.js";

export function RunPage(props: { state: State; id: number; actions: Actions }) {
  const { state, id, actions } = props;
  const entry = shownRun(state);
  if (entry?.missing)
    return (
      <p class="quiet">
        Run {id} cannot be shown: {entry.missing}
      </p>
    );
  if (!entry?.run) return <p class="quiet">Loading run {id}...</p>;
  const { run } = entry;
  const shown = shownTask(state);
  return (
    <>
      <RunHeading run={run} counts={entry.summary?.tasks ?? {}} now={state.now} actions={actions} />
      {run.fault && (
        <div class="problem" role="alert">
          <b>The run could not do its work. No test is to blame.</b>
          <pre>{describeFault(run.fault)}</pre>
        </div>
      )}
      <div class={shown ? "split" : ""}>
        <div class="stages">
          {run.stages.map((stage, index) => (
            <Stage
              key={stage.name}
              run={run.id}
              stage={stage}
              number={index + 1}
              shown={shown?.ref.stage === stage.name ? shown.ref.task : null}
              now={state.now}
            />
          ))}
        </div>
        {shown && (
          <TaskPane
            key={taskKey(shown.ref)}
            run={run.id}
            shown={shown}
            output={state.output}
            now={state.now}
          />
        )}
      </div>
    </>
  );
}

interface HeadingProps {
  readonly run: Run;
  readonly counts: Parameters<typeof formatCounts>[0];
  readonly now: number;
  readonly actions: Actions;
}

function RunHeading({ run, counts, now, actions }: HeadingProps) {
  const { id, status, request } = run;
  const hasRed = Boolean(counts.failed || counts.errored || counts.cancelled || counts.skipped);
  return (
    <div class="heading">
      <div>
        <h1>
          Run {id} <StatusBadge status={status} />
          <Duration from={run.startedAt} to={run.finishedAt} now={now} />
        </h1>
        <p class="facts">
          {request.pipelineName}, started by {request.trigger} at {formatTime(request.at, now)}
          {formatCounts(counts) && `: ${formatCounts(counts)}`}
          {run.cancelledBy !== null && `, cancelled by ${run.cancelledBy}`}
        </p>
      </div>
      <div class="buttons">
        {isFinished(run) ? (
          <>
            {hasRed && (
              <button type="button" onClick={() => actions.rerun(id, { failed: true })}>
                Rerun failed
              </button>
            )}
            <button type="button" onClick={() => actions.rerun(id, {})}>
              Rerun
            </button>
          </>
        ) : (
          <button
            type="button"
            disabled={run.cancelledBy !== null}
            onClick={() => actions.cancel(id)}
          >
            {run.cancelledBy === null ? "Cancel" : "Cancelling..."}
          </button>
        )}
      </div>
    </div>
  );
}

interface StageProps {
  readonly run: number;
  readonly stage: StageState;
  readonly number: number;
  readonly shown: string | null;
  readonly now: number;
}

function Stage({ run, stage, number, shown, now }: StageProps) {
  return (
    <section class="stage" data-stage={stage.name}>
      <h2>
        <span class="number">{number}</span> {stage.name}
        <span class={`remark is-${stageWord(stage)}`}>{stageWord(stage)}</span>
      </h2>
      <ul class="tasks">
        {stage.tasks.map((task) => (
          <TaskRow
            key={task.name}
            run={run}
            stage={stage.name}
            task={task}
            isShown={task.name === shown}
            now={task.status === "running" ? now : 0}
          />
        ))}
      </ul>
    </section>
  );
}

/** How the stage stands, in the words of its tasks once they have ended. */
function stageWord(stage: StageState): StageState["status"] | TaskStatus {
  const statuses = stage.tasks.map((task) => task.status);
  if (statuses.length > 0 && statuses.every((status) => status === "skipped")) return "skipped";
  if (stage.status !== "finished") return stage.status;
  return verdictOf(statuses);
}

interface RowProps {
  readonly run: number;
  readonly stage: string;
  readonly task: TaskState;
  readonly isShown: boolean;
  /** 0 where time does not matter, so that the row is not drawn again by the clock. */
  readonly now: number;
}

class TaskRow extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps) {
    const { task, isShown, now } = this.props;
    return next.task !== task || next.isShown !== isShown || next.now !== now;
  }

  override render() {
    const { run, stage, task, isShown, now } = this.props;
    const last = task.attempts.at(-1);
    return (
      <li data-task={task.name} data-status={task.status}>
        <a
          class={isShown ? "task is-shown" : "task"}
          href={taskHref(run, { stage, task: task.name })}
          aria-current={isShown ? "true" : undefined}
        >
          <StatusIcon status={task.status} />
          <span class="task-name">{task.name}</span>
          <span class={`task-status is-${task.status}`}>{task.status}</span>
          <Duration from={last?.startedAt ?? null} to={last?.finishedAt ?? null} now={now} />
          {attemptNote(task) && <span class="remark">{attemptNote(task)}</span>}
          {reasonOf(task) && <span class="reason">{reasonOf(task)}</span>}
        </a>
      </li>
    );
  }
}

export function reasonOf(task: TaskState): string | null {
  const end = task.attempts.at(-1)?.end;
  if (end?.status === "failed") return describeFailure(end.failure);
  if (end?.status === "errored") return describeFault(end.fault);
  return task.skippedBecause;
}
