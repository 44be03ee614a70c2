// The pipelines, what runs now and what waits, the last runs, the workers.

import type { QueueView, RunSummary } from "../../src/wire/boss.js";
import { dayOf } from "../format.js";
import { listedRuns } from "../state.js";
import { useKeys } from "../use-keys.js";
import type { PageProps } from "./page.js";
import { PipelineCard } from "./pipeline-card.js";
import { RunRow } from "./run-row.js";
import { stepKeys } from "./step.js";
import { usualRunMs } from "./usual.js";
import { WorkerList } from "./worker-list.js";

export function HomePage({ state, actions }: PageProps) {
  const { pipelines, now, queue } = state;
  const runs = listedRuns(state);
  const live = runs.filter(({ finishedAt }) => finishedAt === null);
  const ended = runs.filter(({ finishedAt }) => finishedAt !== null);
  const red = runs.find(({ status }) => status === "failed" || status === "errored");
  const group = "Home";
  useKeys([
    ...stepKeys("run", group),
    {
      keys: "Enter",
      words: "Open the newest run, or the chosen one",
      group,
      run: () => runs[0] && actions.go(`/runs/${runs[0].id}`),
    },
    {
      keys: "e",
      words: "Open the newest red run; e again: its first error",
      group,
      run: () => red && actions.go(`/runs/${red.id}`),
    },
  ]);
  if (pipelines === null) return <p class="loading">Connecting to the boss...</p>;
  if (pipelines.length === 0) return <NoPipeline />;
  const row = (run: RunSummary) => (
    <li key={run.id}>
      <RunRow
        run={run}
        now={run.finishedAt === null ? now : 0}
        usualMs={usualRunMs(state, run.pipeline)}
      />
      {run.status === "queued" && <p class="queue-reason">{whyQueued(run, queue)}</p>}
    </li>
  );
  return (
    <div class="home">
      <h1 class="unseen">Pipelines and runs</h1>
      <div class="home-main">
        {live.length > 0 && (
          <section aria-labelledby="title-now">
            <h2 class="title" id="title-now">
              Now
            </h2>
            <ol class="runs">{live.map(row)}</ol>
          </section>
        )}
        <section aria-labelledby="title-pipelines">
          <h2 class="title" id="title-pipelines">
            Pipelines
          </h2>
          <div class="cards">
            {pipelines.map((view) => (
              <PipelineCard key={view.name} view={view} state={state} actions={actions} />
            ))}
          </div>
        </section>
        <nav aria-labelledby="title-runs">
          <h2 class="title" id="title-runs">
            Last runs
          </h2>
          {ended.length === 0 && (
            <p class="quiet">
              {!state.runsLoaded
                ? "Loading..."
                : live.length > 0
                  ? "None has ended yet."
                  : "None yet. Press n to start one, or type:"}
            </p>
          )}
          {state.runsLoaded && runs.length === 0 && (
            <pre class="teach">npx bettertest run --boss {location.origin}</pre>
          )}
          {byDay(ended, now).map(({ day, runs }) => (
            <div key={day}>
              <h3 class="day">{day}</h3>
              <ol class="runs">{runs.map(row)}</ol>
            </div>
          ))}
        </nav>
      </div>
      <aside class="home-side" aria-label="Workers">
        <section>
          <h2 class="title">Workers</h2>
          <WorkerList workers={state.workers} />
        </section>
      </aside>
    </div>
  );
}

/** What a run in the queue waits for. */
export function whyQueued({ id }: Pick<RunSummary, "id">, queue: QueueView | null): string | null {
  // Why is not known yet: to guess would be to say it wrong for a moment.
  if (queue === null) return null;
  const { waiting, concurrentRuns } = queue;
  const before = waiting.indexOf(id);
  if (before < 0) return "Loading its pipedef.";
  const limit = `${concurrentRuns} ${concurrentRuns === 1 ? "run is" : "runs are"} under way, which is as many as this boss runs at once (--concurrent-runs)`;
  if (before === 0) return `The next one: ${limit}.`;
  return `${before} ${before === 1 ? "waits" : "wait"} before it: ${limit}.`;
}

function byDay(runs: readonly RunSummary[], now: number) {
  const days = new Map<string, RunSummary[]>();
  for (const run of runs) {
    const day = dayOf(run.createdAt, now);
    const known = days.get(day);
    if (known) known.push(run);
    else days.set(day, [run]);
  }
  return [...days].map(([day, runs]) => ({ day, runs }));
}

function NoPipeline() {
  return (
    <div class="empty">
      <h1>No pipedef yet</h1>
      <p>
        A pipedef says what to run. In your repo, this looks around and writes a first one, and then
        serves it here:
      </p>
      <pre>npx bettertest init{"\n"}npx bettertest up</pre>
      <p class="quiet">
        This boss was started in a folder without one. Another place: <code>--pipedef PATH</code>
      </p>
    </div>
  );
}
