import { Component } from "preact";
import { describeFailure, describeFault } from "../../src/model/failure.js";
import {
  type AttemptState,
  type StageState,
  type TaskState,
  type TaskStatus,
  verdictOf,
} from "../../src/model/run.js";
import { formatCounts } from "../format.js";
import { Duration, StatusIcon } from "./status.js";
import { TaskNote } from "./task-note.js";

export function StageRow({ stage, number }: { stage: StageState; number: number }) {
  const word = stageWord(stage);
  const counts: Partial<Record<TaskStatus, number>> = {};
  for (const { status } of stage.tasks) counts[status] = (counts[status] ?? 0) + 1;
  return (
    <h2 class="stage-row" data-stage={stage.name}>
      <span class="number">{number}</span>
      <bdi class="stage-name">{stage.name}</bdi>
      <span class={`remark is-${word}`}>{formatCounts(counts) || word}</span>
    </h2>
  );
}

/** How the stage stands, in the words of its tasks once they have ended. */
export function stageWord(stage: StageState): StageState["status"] | TaskStatus {
  const statuses = stage.tasks.map((task) => task.status);
  if (statuses.length > 0 && statuses.every((status) => status === "skipped")) return "skipped";
  if (stage.status !== "finished") return stage.status;
  return verdictOf(statuses);
}

interface RowProps {
  readonly href: string;
  readonly task: TaskState;
  readonly isShown: boolean;
  readonly usualMs: number | null;
  /** 0 where time does not matter, so that the row is not drawn again by the clock. */
  readonly now: number;
}

export class TaskRow extends Component<RowProps> {
  override shouldComponentUpdate(next: RowProps) {
    const { href, task, isShown, usualMs, now } = this.props;
    return (
      next.task !== task ||
      next.isShown !== isShown ||
      next.now !== now ||
      next.usualMs !== usualMs ||
      next.href !== href
    );
  }

  override render() {
    const { href, task, isShown, usualMs, now } = this.props;
    const last = task.attempts.at(-1);
    const isRed = task.status === "failed" || task.status === "errored";
    return (
      <a
        class={isShown ? "task is-shown" : "task"}
        href={href}
        aria-current={isShown ? "true" : undefined}
        data-task={task.name}
        data-status={task.status}
      >
        <StatusIcon status={task.status} />
        <bdi class="task-name">{task.name}</bdi>
        <TaskNote task={task} />
        {task.status === "running" && last ? (
          <Progress elapsedMs={now - last.startedAt} usualMs={usualMs} />
        ) : (
          <span class={`task-status is-${task.status}${task.status === "passed" ? " unseen" : ""}`}>
            {task.status}
          </span>
        )}
        <Duration from={last?.startedAt ?? null} to={last?.finishedAt ?? null} now={now} />
        {isRed && last && <bdi class="reason">{shortReason(last)}</bdi>}
      </a>
    );
  }
}

/** How far it should be, by what it usually takes; without history only that it runs. */
function Progress({ elapsedMs, usualMs }: { elapsedMs: number; usualMs: number | null }) {
  if (usualMs === null || usualMs <= 0) return <span class="task-status is-running">running</span>;
  const part = Math.min(1, Math.max(0, elapsedMs / usualMs));
  const isLate = elapsedMs > usualMs * 1.5 && elapsedMs > usualMs + 2000;
  return (
    <span class="progress">
      <span class="unseen">running{isLate ? ", longer than usual" : ""}</span>
      <span class={isLate ? "progress-bar is-late" : "progress-bar"} aria-hidden="true">
        <span style={{ width: `${Math.round(part * 100)}%` }} />
      </span>
    </span>
  );
}

/** Why it is red; without the command where it has only this one: it says nothing that tells it from others. */
export function shortReason({ end, calls }: AttemptState): string | null {
  if (end?.status === "errored") return describeFault(end.fault);
  if (end?.status !== "failed") return null;
  const reason = describeFailure(end.failure);
  return calls.length === 1 ? reason.replace(`: ${calls[0]?.command}`, () => "") : reason;
}
