// The last runs of a pipeline as bars: what they ended with by color and form, how long they took by height.

import type { RunSummary } from "../../src/wire/boss.js";
import { formatDuration } from "../format.js";
import { runHref } from "../route.js";
import { trendRuns } from "../urls.js";
import { moveByArrows } from "./arrows.js";

export function Trend({ runs, now }: { runs: readonly RunSummary[]; now: number }) {
  const bars = runs.slice(0, trendRuns).reverse();
  if (bars.length === 0) return <span class="quiet">No run yet</span>;
  const longest = Math.max(
    1,
    ...bars.flatMap((run) => (run.finishedAt === null ? [] : [durationOf(run, now)])),
  );
  return (
    <ul
      class="trend"
      aria-label={`The last ${bars.length} runs, oldest first`}
      data-row
      onKeyDown={moveByArrows}
    >
      {bars.map((run, index) => {
        const ms = durationOf(run, now);
        const words = `#${run.id} ${run.status}${ms > 0 ? ` in ${formatDuration(ms)}` : ""}`;
        return (
          <li key={run.id}>
            <a
              class={`is-${run.status}`}
              href={runHref(run.id)}
              title={words}
              aria-label={words}
              tabIndex={index === bars.length - 1 ? 0 : -1}
            >
              <span style={{ height: `${Math.min(100, Math.round((ms / longest) * 100))}%` }} />
            </a>
          </li>
        );
      })}
    </ul>
  );
}

function durationOf({ startedAt, finishedAt }: RunSummary, now: number): number {
  return startedAt === null ? 0 : Math.max(0, (finishedAt ?? now) - startedAt);
}
