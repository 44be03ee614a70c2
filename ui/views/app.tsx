import type { WorkerView } from "../../src/wire/boss.js";
import type { Actions } from "../effects.js";
import { listedRuns, type State, shownRun } from "../state.js";
import { HomePage } from "./home.js";
import { RunPage } from "./run.js";
import { RunList } from "./run-list.js";

export function titleOf(state: State): string {
  const summary = shownRun(state)?.summary;
  return summary ? `${summary.status}: run ${summary.id}, ${summary.pipeline}` : "bettertest";
}

export function App({ state, actions }: { state: State; actions: Actions }) {
  return (
    <>
      <header class="top">
        <a class="brand" href="#/">
          bettertest
        </a>
        <Workers workers={state.workers} />
      </header>
      <ConnectionNotice connection={state.connection} />
      {state.problem !== null && (
        <div class="notice is-bad" role="alert">
          <span>{state.problem}</span>
          <button type="button" onClick={actions.dismissProblem}>
            Dismiss
          </button>
        </div>
      )}
      <div class="columns">
        <nav class="side" aria-label="Pipelines and runs">
          <a class={state.route.page === "home" ? "home is-shown" : "home"} href="#/">
            Pipelines
          </a>
          <RunList
            runs={listedRuns(state)}
            loaded={state.runsLoaded}
            shown={shownId(state)}
            now={state.now}
          />
        </nav>
        <main>
          {state.route.page === "home" ? (
            <HomePage state={state} actions={actions} />
          ) : (
            <RunPage state={state} id={state.route.run} actions={actions} />
          )}
        </main>
      </div>
    </>
  );
}

function shownId(state: State): number | null {
  return state.route.page === "run" ? state.route.run : null;
}

function ConnectionNotice({ connection }: { connection: State["connection"] }) {
  if (connection !== "lost") return null;
  return (
    <div class="notice is-bad" role="alert">
      Connection lost, trying again. What you see may be outdated.
    </div>
  );
}

function Workers({ workers }: { workers: readonly WorkerView[] | null }) {
  if (workers === null) return null;
  if (workers.length === 0) return <span class="workers">no worker</span>;
  return (
    <ul class="workers" aria-label="Workers">
      {workers.map((worker) => (
        <Worker key={worker.url} worker={worker} />
      ))}
    </ul>
  );
}

function Worker({ worker: { url, status, info, problem } }: { worker: WorkerView }) {
  const words = info
    ? `${info.executor}, ${info.running} of ${info.slots} slots busy${info.queued > 0 ? `, ${info.queued} waiting` : ""}`
    : (problem ?? "");
  return (
    <li class={`worker is-${status}`} title={`${url}: ${problem ?? status}`}>
      <span class="dot" aria-hidden="true" />
      worker {status === "connected" ? words : status}
      {status === "connected" && info && !info.isolated && <em> (not isolated)</em>}
    </li>
  );
}
