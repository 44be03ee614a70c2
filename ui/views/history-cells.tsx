import { Component } from "preact";
import type { RunSummary, TaskHistory } from "../../src/wire/boss.js";
import { formatDuration } from "../format.js";
import { taskHref } from "../route.js";
import { stateOf } from "./history-stats.js";

interface Props {
  readonly task: TaskHistory;
  readonly runs: readonly RunSummary[];
  readonly longestMs: number;
}

/** A task in each run: what it ended with by color and form, how long it took by strength. */
export class Cells extends Component<Props> {
  override shouldComponentUpdate(next: Props) {
    return next.task !== this.props.task || next.runs !== this.props.runs;
  }

  override render() {
    const { task, runs, longestMs } = this.props;
    return (
      <span class="cells">
        {runs.map((run, index) => {
          const state = stateOf(task.states[index]);
          const ms = task.ms[index] ?? null;
          if (state === null) return <span key={run.id} class="cell" />;
          const words = `#${run.id} ${state}${ms === null ? "" : ` in ${formatDuration(ms)}`}`;
          const part = ms === null || longestMs === 0 ? 1 : ms / longestMs;
          return (
            // biome-ignore lint/a11y/useAnchorContent: its label says it
            <a
              key={run.id}
              class={`cell is-${state}`}
              href={taskHref(run.id, task)}
              title={words}
              aria-label={words}
              tabIndex={-1}
              style={{ "--part": part.toFixed(2) }}
            />
          );
        })}
      </span>
    );
  }
}
