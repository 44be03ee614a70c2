import type { RunSummary } from "../../src/wire/boss.js";
import { formatClock, formatCounts, formatTime } from "../format.js";
import { runHref } from "../route.js";
import { Icon } from "./icons.js";
import { Duration, StatusIcon } from "./status.js";

interface Props {
  readonly run: RunSummary;
  /** Null: nothing is known of how long it takes. */
  readonly usualMs: number | null;
  readonly now: number;
}

/** A run in a list of runs. */
export function RunRow({ run, usualMs, now }: Props) {
  const { id, status, pipeline, trigger, tasks, startedAt, finishedAt, createdAt } = run;
  const isLive = finishedAt === null;
  const part = startedAt === null || !usualMs ? null : Math.min(1, (now - startedAt) / usualMs);
  return (
    <a class={`run-row is-${status}`} href={runHref(id)} data-item data-run={id}>
      <StatusIcon status={status} />
      <span class="run-id">
        #{id}
        {run.pinned && (
          <span title="Pinned: never deleted to make room">
            {" "}
            <Icon name="pin" />
          </span>
        )}
      </span>
      <bdi>{pipeline}</bdi>
      <span class="run-counts">
        {status === "passed" ? "" : <span class="unseen">{status}: </span>}
        {formatCounts(tasks) || status}
        {isLive && part !== null && (
          <span class="progress-bar" aria-hidden="true">
            <span style={{ width: `${Math.round(part * 100)}%` }} />
          </span>
        )}
      </span>
      <bdi class="run-trigger">{trigger}</bdi>
      <Duration from={startedAt} to={finishedAt} now={now} />
      <time
        class="run-time"
        dateTime={new Date(createdAt).toISOString()}
        title={formatTime(createdAt, createdAt)}
      >
        {formatClock(createdAt)}
      </time>
    </a>
  );
}
