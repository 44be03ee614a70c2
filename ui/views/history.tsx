// A pipeline over time: which tasks are red how often, which are slow, and when that began.

import { useMemo, useRef, useState } from "preact/hooks";
import { taskKey, taskLabel } from "../../src/model/pipeline.js";
import type { HistoryView } from "../../src/wire/boss.js";
import { answerTo } from "../fetched.js";
import { formatDuration, formatTime } from "../format.js";
import { hrefOf, runHref } from "../route.js";
import { mayAct } from "../state.js";
import { historyUrl } from "../urls.js";
import { useKeys } from "../use-keys.js";
import { moveByArrows } from "./arrows.js";
import { DurationPlot, type PlotPoint } from "./duration-plot.js";
import { Cells } from "./history-cells.js";
import {
  medianOf,
  type Order,
  ordered,
  stateOf,
  statsOf,
  type TaskStats,
} from "./history-stats.js";
import { Outdated } from "./outdated.js";
import type { PageProps } from "./page.js";
import { stepKeys } from "./step.js";
import { VirtualList } from "./virtual-list.js";

const orders: readonly { readonly order: Order; readonly words: string }[] = [
  { order: "stages", words: "In order of stages" },
  { order: "red", words: "Most red" },
  { order: "flaky", words: "Most flaky" },
  { order: "slow", words: "Slowest" },
];

const rowHeight = 30;

export function HistoryPage({ state, actions, pipeline }: PageProps & { pipeline: string }) {
  const url = historyUrl(pipeline);
  const history = answerTo<HistoryView>(state.fetched, url);
  const problem = state.fetched.get(url)?.problem ?? null;
  if (problem && !history) {
    return (
      <div class="empty">
        <h1>
          No history of <bdi>{pipeline}</bdi>
        </h1>
        <p>{problem}</p>
      </div>
    );
  }
  if (!history) return <p class="loading">Loading the history...</p>;
  if (history.runs.length === 0) {
    return (
      <div class="empty">
        <h1>
          <bdi>{pipeline}</bdi> has no history yet
        </h1>
        <p>It begins with the first run that ends. To start one:</p>
        <pre>npx bettertest run --boss {location.origin}</pre>
        <button
          type="button"
          class="primary"
          disabled={!mayAct(state)}
          onClick={() => actions.start({ pipeline })}
        >
          Run it now
        </button>
      </div>
    );
  }
  return (
    <>
      <Outdated problem={problem} />
      <Loaded history={history} now={state.now} go={(href) => actions.go(href)} />
    </>
  );
}

interface LoadedProps {
  readonly history: HistoryView;
  readonly now: number;
  go(href: string): void;
}

function Loaded({ history, now, go }: LoadedProps) {
  const { runs, pipeline } = history;
  const [order, setOrder] = useState<Order>("red");
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const stats = statsOf(history);
  const rows = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return ordered(stats, order).filter(({ task }) =>
      words.every((word) => taskLabel(task).toLowerCase().includes(word)),
    );
  }, [stats, order, text]);
  const shown = stats.find(({ task }) => taskKey(task) === chosen);
  const group = "History";
  useKeys([
    ...stepKeys("task", group),
    { keys: "/", words: "Filter the tasks", group, run: () => field.current?.focus() },
  ]);
  return (
    <div class="history">
      <header class="history-head">
        <h1>
          History of <bdi>{pipeline}</bdi>
        </h1>
        <Numbers history={history} stats={stats} />
      </header>
      <div class="history-top">
        <section class="plot-card" aria-label="Durations">
          <h2>
            {shown ? (
              <>
                <bdi class="mono">{taskLabel(shown.task)}</bdi>{" "}
                <button type="button" class="small" onClick={() => setChosen(null)}>
                  Whole runs
                </button>
              </>
            ) : (
              "Duration of whole runs"
            )}
          </h2>
          <DurationPlot points={shown ? pointsOfTask(history, shown) : pointsOfRuns(history)} />
        </section>
        <Compare history={history} now={now} go={go} />
      </div>
      <section aria-labelledby="tasks-title" onKeyDown={moveByArrows}>
        <div class="history-tools">
          <h2 id="tasks-title">Tasks by runs</h2>
          <input
            ref={field}
            type="search"
            placeholder="Filter tasks"
            aria-label="Filter tasks by words of their names"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setText("");
              if (event.key === "Escape" || event.key === "Enter") event.currentTarget.blur();
            }}
          />
          <fieldset class="chips" aria-label="Order">
            {orders.map(({ order: other, words }) => (
              <button
                key={other}
                type="button"
                class="chip"
                aria-pressed={other === order}
                onClick={() => setOrder(other)}
              >
                {words}
              </button>
            ))}
          </fieldset>
          <Legend />
        </div>
        <div class="grid-head" aria-hidden="true">
          <span>Task</span>
          <span class="grid-number">red</span>
          <span class="grid-number">median</span>
          <span class="grid-runs" style={{ maxWidth: `${Math.max(runs.length, 8) * 22}px` }}>
            <span>#{runs[0]?.id}</span>
            {runs.length > 12 && <span class="grid-order">oldest to newest</span>}
            {runs.length > 1 && <span>#{runs.at(-1)?.id}</span>}
          </span>
        </div>
        <VirtualList
          label="Tasks"
          items={rows}
          heightOf={heightOf}
          keyOf={keyOf}
          render={({ task, red, flaky, runs: count, medianMs, longestMs }) => (
            <div class={taskKey(task) === chosen ? "grid-row is-shown" : "grid-row"} data-row>
              <button
                type="button"
                class="grid-name"
                data-item
                aria-pressed={taskKey(task) === chosen}
                title={taskLabel(task)}
                onClick={() => setChosen(taskKey(task))}
              >
                <bdi class="quiet">{task.stage}</bdi> <bdi>{task.task}</bdi>
              </button>
              <span class={red > 0 ? "grid-number is-failed" : "grid-number"}>
                {red > 0 && `${red} of ${count}`}
                {flaky > 0 && <span class="note">{flaky} flaky</span>}
              </span>
              <span class="grid-number">{medianMs !== null && formatDuration(medianMs)}</span>
              <Cells task={task} runs={runs} longestMs={longestMs} />
            </div>
          )}
        />
        {rows.length === 0 && <p class="quiet padded">No task fits the filter.</p>}
      </section>
    </div>
  );
}

function heightOf(): number {
  return rowHeight;
}

function keyOf({ task }: TaskStats): string {
  return taskKey(task);
}

function Numbers({ history, stats }: { history: HistoryView; stats: readonly TaskStats[] }) {
  const { runs } = history;
  const passed = runs.filter(({ status }) => status === "passed");
  const median = medianOf(
    passed.flatMap(({ startedAt, finishedAt }) =>
      startedAt === null || finishedAt === null ? [] : [finishedAt - startedAt],
    ),
  );
  const flaky = stats.filter((one) => one.flaky > 0).length;
  const red = stats.filter((one) => one.red > 0).length;
  const facts = [
    { value: `${runs.length}`, words: runs.length === 1 ? "run" : "runs" },
    { value: `${Math.round((passed.length / runs.length) * 100)}%`, words: "passed" },
    { value: median === null ? "-" : formatDuration(median), words: "median of those" },
    { value: `${red}`, words: red === 1 ? "task was red" : "tasks were red" },
    { value: `${flaky}`, words: flaky === 1 ? "task is flaky" : "tasks are flaky" },
  ];
  return (
    <ul class="numbers facts-row">
      {facts.map(({ value, words }) => (
        <li key={words}>
          <b>{value}</b> {words}
        </li>
      ))}
    </ul>
  );
}

function Legend() {
  return (
    <p class="legend">
      {(["passed", "flaky", "failed", "errored", "cancelled", "skipped"] as const).map((state) => (
        <span key={state}>
          <span class={`cell is-${state}`} aria-hidden="true" /> {state}
        </span>
      ))}
    </p>
  );
}

function Compare({ history, now, go }: LoadedProps) {
  const { runs } = history;
  const lastGreen = runs.findLast(({ status }) => status === "passed");
  const newest = runs.at(-1);
  const guess = lastGreen && lastGreen !== newest ? lastGreen : runs.at(-2);
  const [left, setLeft] = useState(guess?.id ?? 0);
  const [right, setRight] = useState(newest?.id ?? 0);
  if (runs.length < 2) return null;
  const select = (label: string, value: number, set: (id: number) => void) => (
    <label>
      {label}
      <select value={value} onChange={(event) => set(Number(event.currentTarget.value))}>
        {[...runs].reverse().map(({ id, status, createdAt }) => (
          <option key={id} value={id}>
            #{id} {status}, {formatTime(createdAt, now)}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <form
      class="compare-form"
      onSubmit={(event) => {
        event.preventDefault();
        go(hrefOf({ page: "compare", left, right }));
      }}
    >
      <h2>Compare two runs</h2>
      {select("From", left, setLeft)}
      {select("To", right, setRight)}
      <button type="submit">Compare</button>
    </form>
  );
}

function pointsOfRuns({ runs }: HistoryView): PlotPoint[] {
  return runs.map((run) => ({
    run: run.id,
    ms: run.startedAt === null || run.finishedAt === null ? null : run.finishedAt - run.startedAt,
    state: run.status,
    href: runHref(run.id),
  }));
}

function pointsOfTask({ runs }: HistoryView, { task }: TaskStats): PlotPoint[] {
  return runs.map((run, index) => ({
    run: run.id,
    ms: task.ms[index] ?? null,
    state: stateOf(task.states[index]),
    href: hrefOf({ page: "run", run: run.id, task, attempt: null, lines: null }),
  }));
}
