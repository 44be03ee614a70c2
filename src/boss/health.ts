import type { HealthView } from "../wire/boss.js";
import type { DiskState } from "./disk.js";
import type { Pipelines } from "./pipelines.js";
import type { Workers } from "./workers.js";

/** Whether the boss can do its work, and what is wrong or soon will be. */
export function healthOf(engine: {
  readonly pipelines: Pick<Pipelines, "views">;
  readonly workers: Pick<Workers, "views">;
  readonly disk: { readonly state: DiskState };
}): HealthView {
  const pipelines = engine.pipelines.views();
  const { trouble, warning } = engine.disk.state;
  const notReady = [
    ...(trouble === null ? [] : [trouble]),
    ...(pipelines.length === 0 ? ["no pipeline"] : []),
    ...pipelines
      .filter((view) => view.pipeline === null)
      .map((view) => `pipeline ${view.name} has not loaded`),
    ...engine.workers
      .views()
      .filter((worker) => worker.status !== "connected")
      .map((worker) => `worker ${worker.url} is ${worker.status}`),
  ];
  return {
    ready: notReady.length === 0,
    reasons: warning === null ? notReady : [...notReady, warning],
  };
}
