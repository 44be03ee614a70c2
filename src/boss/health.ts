import type { HealthView, WorkerView } from "../wire/boss.js";
import type { DiskState } from "./history/disk.js";
import type { Pipelines } from "./pipelines.js";
import type { Workers } from "./workers.js";

/** Whether the boss can do its work, and what is wrong or soon will be. */
export function healthOf(engine: {
  readonly pipelines: Pick<Pipelines, "views">;
  readonly workers: Pick<Workers, "ownViews">;
  readonly disk: { readonly state: DiskState };
}): HealthView {
  const pipelines = engine.pipelines.views();
  const { trouble, warning } = engine.disk.state;
  const own = engine.workers.ownViews();
  const away = own.filter(({ status }) => status !== "connected").map(workerInWords);
  // As long as one is there, commands run; those that a pipedef names are its own affair.
  const noneIsThere = own.length > 0 && away.length === own.length;
  const notReady = [
    ...(trouble === null ? [] : [trouble]),
    ...(pipelines.length === 0 ? ["no pipeline"] : []),
    ...pipelines
      .filter((view) => view.pipeline === null)
      .map((view) => `pipeline ${view.name} has not loaded`),
    ...(noneIsThere ? away : []),
  ];
  const warnings = [...(noneIsThere ? [] : away), ...(warning === null ? [] : [warning])];
  return { ready: notReady.length === 0, reasons: [...notReady, ...warnings] };
}

/** With what happened and what to try, where that is known. */
function workerInWords({ url, status, problem }: WorkerView): string {
  if (problem === null) return `worker ${url} is ${status}`;
  const state = status === "connecting" ? "not connected" : status;
  return `worker ${url} is ${state}: ${problem.replace(`worker ${url} `, () => "it ")}`;
}
