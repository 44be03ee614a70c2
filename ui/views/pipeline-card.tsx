import type { StageDefinition } from "../../src/model/pipeline.js";
import { taskLabel } from "../../src/model/pipeline.js";
import type { PipelineView, RunSummary } from "../../src/wire/boss.js";
import { formatAgo, formatCounts } from "../format.js";
import { hrefOf, runHref } from "../route.js";
import { lacksTrend, mayAct, runsOf } from "../state.js";
import { Icon } from "./icons.js";
import type { PageProps } from "./page.js";
import { Duration, StatusIcon } from "./status.js";
import { Trend } from "./trend.js";

/** More tasks of a stage are not listed here; the palette finds them. */
const maxListed = 100;

export function PipelineCard({ view, state, actions }: PageProps & { view: PipelineView }) {
  const { name, pipedef, pipeline, problem } = view;
  const may = mayAct(state) && pipeline !== null;
  const runs = runsOf(state, name);
  const [last] = runs;
  const isUnknown = !last && lacksTrend(state, name);
  const start = (only: string[]) =>
    actions.start({ pipeline: name, ...(only.length > 0 && { only }) });
  return (
    <article class="card" aria-label={`Pipeline ${name}`}>
      <div class="card-head">
        <div>
          <div class="card-name">
            {last && <StatusIcon status={last.status} words />}
            <h3>
              <a href={hrefOf({ page: "history", pipeline: name })}>
                <bdi>{name}</bdi>
              </a>
            </h3>
            <span class="path" title={pipedef}>
              <bdi>{pipedef}</bdi>
            </span>
          </div>
          {last && <LastRun run={last} now={state.now} />}
        </div>
        {isUnknown ? (
          <span class="quiet">Loading its runs...</span>
        ) : (
          <Trend runs={runs} now={state.now} />
        )}
        <button type="button" class="primary" disabled={!may} onClick={() => start([])}>
          <Icon name="play" /> Run
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
      {!pipeline && problem === null && <p class="quiet padded">Loading the pipedef...</p>}
      {pipeline && (
        <details class="card-stages" open={!last && !isUnknown}>
          <summary>{stagesInWords(pipeline.stages)}</summary>
          <div class="stage-columns">
            {pipeline.stages.map((stage, index) => (
              <Stage key={stage.name} stage={stage} number={index + 1} start={may ? start : null} />
            ))}
          </div>
        </details>
      )}
    </article>
  );
}

function LastRun({ run, now }: { run: RunSummary; now: number }) {
  return (
    <p class={`card-last is-${run.status}`}>
      <a href={runHref(run.id)}>
        #{run.id} {run.status}
      </a>
      <span>{formatCounts(run.tasks)}</span>
      <Duration from={run.startedAt} to={run.finishedAt} now={now} />
      <span>{formatAgo(run.createdAt, now)}</span>
    </p>
  );
}

function stagesInWords(stages: readonly StageDefinition[]): string {
  const tasks = stages.reduce((sum, stage) => sum + stage.tasks.length, 0);
  const count = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  return `${count(stages.length, "stage")}, ${count(tasks, "task")}`;
}

interface StageProps {
  readonly stage: StageDefinition;
  readonly number: number;
  /** Null: the reader may not. */
  readonly start: ((only: string[]) => void) | null;
}

function Stage({ stage, number, start }: StageProps) {
  const hidden = stage.tasks.length - maxListed;
  return (
    <section class="stage-column">
      <header>
        <span class="number">{number}</span>
        <h3>
          <bdi>{stage.name}</bdi>
        </h3>
        {stage.always && <span class="quiet">always runs</span>}
        {start && (
          <button
            type="button"
            class="plain small"
            aria-label={`Start stage ${stage.name} alone`}
            title="Run this stage alone"
            onClick={() => start([stage.name])}
          >
            <Icon name="play" />
          </button>
        )}
      </header>
      <ul>
        {stage.tasks.slice(0, maxListed).map(({ name, location }) => (
          <li key={name} title={location && `${location.file}:${location.line}`}>
            <bdi>{name}</bdi>
            {start && (
              <button
                type="button"
                class="plain small"
                aria-label={`Start task ${name} alone`}
                title="Run this task alone"
                onClick={() => start([taskLabel({ stage: stage.name, task: name })])}
              >
                <Icon name="play" />
              </button>
            )}
          </li>
        ))}
        {hidden > 0 && (
          <li class="quiet">
            {hidden} more; <kbd>n</kbd> finds them
          </li>
        )}
      </ul>
    </section>
  );
}
