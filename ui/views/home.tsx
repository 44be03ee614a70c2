import type { StageDefinition } from "../../src/model/pipeline.js";
import type { PipelineView } from "../../src/wire/boss.js";
import type { Actions } from "../actions.js";
import { listedRuns } from "../state.js";
import type { PageProps } from "./page.js";
import { RunList } from "./run-list.js";
import { StatusIcon } from "./status.js";

export function HomePage({ state, actions }: PageProps) {
  if (state.pipelines === null) return <p class="quiet">Connecting to the boss...</p>;
  if (state.pipelines.length === 0) {
    return (
      <p class="quiet">
        No pipedef. Start the boss with <code>--pipedef PATH</code>; <code>bettertest init</code>{" "}
        writes a first one.
      </p>
    );
  }
  return (
    <>
      {state.pipelines.map((view) => (
        <PipelineCard key={view.name} view={view} actions={actions} />
      ))}
      <nav class="side" aria-label="Runs">
        <RunList runs={listedRuns(state)} loaded={state.runsLoaded} shown={null} now={state.now} />
      </nav>
    </>
  );
}

function PipelineCard({ view, actions }: { view: PipelineView; actions: Actions }) {
  const { name, pipedef, pipeline, problem } = view;
  return (
    <section class="pipeline">
      <div class="heading">
        <div>
          <h1>{name}</h1>
          <p class="path">{pipedef}</p>
        </div>
        <button
          type="button"
          class="primary"
          disabled={pipeline === null}
          onClick={() => actions.start({ pipeline: name })}
        >
          Run
        </button>
      </div>
      {problem !== null && (
        <div class="problem" role="alert">
          <b>
            {pipeline
              ? "The pipedef is broken; these are the stages of its last good version."
              : "The pipedef is broken."}
          </b>
          <pre>{problem}</pre>
        </div>
      )}
      {pipeline?.warnings.map((warning) => (
        <p key={warning} class="warning">
          {warning}
        </p>
      ))}
      {!pipeline && problem === null && <p class="quiet">Loading the pipedef...</p>}
      <div class="stages">
        {pipeline?.stages.map((stage, index) => (
          <Stage key={stage.name} stage={stage} number={index + 1} />
        ))}
      </div>
    </section>
  );
}

function Stage({ stage, number }: { stage: StageDefinition; number: number }) {
  return (
    <section class="stage">
      <h2>
        <span class="number">{number}</span> {stage.name}
        {stage.always && <span class="remark">always runs</span>}
      </h2>
      <ul class="tasks">
        {stage.tasks.map((task) => (
          <li key={task.name} class="task-name" title={placeOf(task.location)}>
            <StatusIcon status="waiting" />
            {task.name}
          </li>
        ))}
      </ul>
    </section>
  );
}

function placeOf(location: { file: string; line: number } | undefined): string | undefined {
  return location && `${location.file}:${location.line}`;
}
