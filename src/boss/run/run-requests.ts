// Who asks for a run, or for one again, hears its number or what is wrong with the wish.

import { type Pipeline, selectTasks, type TaskRef } from "../../model/pipeline.js";
import { eachTask, isFinished, type Run } from "../../model/run.js";
import type { PipelineView, StartRunRequest } from "../../wire/boss.js";
import type { Pipelines } from "../pipelines.js";
import type { Runs, RunWishes } from "./runs.js";

export type StartRequest = StartRunRequest &
  Pick<RunWishes, "trigger" | "first" | "workspace" | "again"> & {
    /** Just these, in place of `only`. */
    readonly tasks?: readonly TaskRef[];
  };

export interface RerunRequest {
  /** Only what has not passed. */
  readonly failed: boolean;
  /** `Stage` or `Stage.task`. */
  readonly only?: readonly string[] | undefined;
  readonly keepFailedMs?: number | undefined;
  readonly trigger: string;
}

export interface Refusal {
  readonly ok: false;
  readonly status: 400 | 404 | 409 | 429;
  readonly error: string;
  readonly field?: string;
}

export type StartResult = { readonly ok: true; readonly run: number } | Refusal;

interface RunRequestsParts {
  readonly runs: Runs;
  readonly pipelines: Pipelines;
  readonly run: (id: number) => Run | undefined;
  readonly maxQueuedRuns: number;
}

const nothing: Pipeline = { stages: [], warnings: [] };

export class RunRequests {
  readonly #parts: RunRequestsParts;
  #closed = false;

  constructor(parts: RunRequestsParts) {
    this.#parts = parts;
  }

  start(asked: StartRequest): StartResult {
    const refused = this.#refusal();
    if (refused) return refused;
    const view = this.#pipeline(asked.pipeline);
    if ("ok" in view) return view;
    let only = asked.tasks;
    if (asked.only && asked.only.length > 0) {
      const chosen = chosenOf(view.pipeline, asked.only, view.name);
      if ("ok" in chosen) return chosen;
      only = chosen;
    }
    return { ok: true, run: this.#parts.runs.begin(view, only, asked) };
  }

  rerun(id: number, asked: RerunRequest): StartResult {
    const { failed, trigger, keepFailedMs } = asked;
    const run = this.#parts.run(id);
    if (!run) return { ok: false, status: 404, error: `there is no run ${id}` };
    if (!isFinished(run)) return { ok: false, status: 409, error: `run ${id} has not ended yet` };
    const refused = this.#refusal();
    if (refused) return refused;
    const view = this.#pipeline(run.request.pipelineName);
    if ("ok" in view) return view;
    let only = run.request.only;
    if (asked.only && asked.only.length > 0) {
      const chosen = chosenOf(run.pipeline, asked.only, `run ${id}`);
      if ("ok" in chosen) return chosen;
      only = chosen;
    }
    if (failed && run.pipeline) {
      only = [...eachTask(run)]
        .filter(({ ref, task }) => task.status !== "passed" && isAmong(ref, asked.only && only))
        .map(({ ref }) => ref);
      if (only.length === 0) {
        const error = `every task of run ${id} passed: nothing to rerun`;
        return { ok: false, status: 409, error };
      }
    }
    const { keepGoing } = run.request;
    const sources = run.sources && { sources: run.sources };
    const again = { run: id, at: run.request.at };
    const wishes = { keepGoing, trigger, keepFailedMs, again, ...sources };
    return { ok: true, run: this.#parts.runs.begin(view, only, wishes) };
  }

  /** From now on everybody is refused. */
  close(): void {
    this.#closed = true;
  }

  #refusal(): Refusal | null {
    if (this.#closed) return { ok: false, status: 409, error: "the boss is stopping" };
    const waiting = this.#parts.runs.queue.view().waiting.length;
    if (waiting < this.#parts.maxQueuedRuns) return null;
    const error = `${waiting} runs are waiting already, and no more may. Try later, or see --max-queued-runs`;
    return { ok: false, status: 429, error };
  }

  #pipeline(name: string | undefined): PipelineView | Refusal {
    const { pipelines } = this.#parts;
    const view = pipelines.find(name);
    if (view) return view;
    const names = pipelines
      .views()
      .map((candidate) => candidate.name)
      .join(", ");
    const field = "pipeline";
    if (name === undefined)
      return {
        ok: false,
        status: 400,
        field,
        error: `say which pipeline: ${names || "there is none"}`,
      };
    const error = `no pipeline ${JSON.stringify(name)}; there is: ${names}`;
    return { ok: false, status: 404, field, error };
  }
}

function chosenOf(
  pipeline: Pipeline | null,
  only: readonly string[],
  where: string,
): readonly TaskRef[] | Refusal {
  const selection = selectTasks(pipeline ?? nothing, only);
  if (selection.ok) return selection.tasks;
  const { unknown, suggestions } = selection;
  const error = `${where} has no stage or task ${JSON.stringify(unknown)}; there is: ${suggestions.join(", ")}`;
  return { ok: false, status: 400, field: "only", error };
}

function isAmong(ref: TaskRef, chosen: readonly TaskRef[] | undefined): boolean {
  return chosen?.some(({ stage, task }) => stage === ref.stage && task === ref.task) ?? true;
}
