import type { RunSummary } from "../../src/wire/boss.js";
import { formatCounts, formatTime } from "../format.js";
import { runHref } from "../route.js";
import { Duration, StatusIcon } from "./status.js";

interface Props {
  readonly runs: readonly RunSummary[];
  readonly loaded: boolean;
  readonly shown: number | null;
  readonly now: number;
}

export function RunList({ runs, loaded, shown, now }: Props) {
  return (
    <>
      <h2>Recent runs</h2>
      {runs.length === 0 && <p class="quiet">{loaded ? "None yet." : "Loading..."}</p>}
      <ol class="runs">
        {runs.map((run) => (
          <li key={run.id}>
            <a
              href={runHref(run.id)}
              class={run.id === shown ? "is-shown" : ""}
              aria-current={run.id === shown ? "page" : undefined}
            >
              <StatusIcon status={run.status} />
              <span class="run-name">
                <b>#{run.id}</b> {run.pipeline}
              </span>
              <Duration from={run.startedAt} to={run.finishedAt} now={now} />
              <span class="run-facts">
                {formatCounts(run.tasks) || run.status}
                <span class="run-time">{formatTime(run.createdAt, now)}</span>
              </span>
            </a>
          </li>
        ))}
      </ol>
    </>
  );
}
