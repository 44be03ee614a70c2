import { Hono } from "hono";
import { openMetricsType } from "../../lib/openmetrics.js";
import type { Engine } from "../engine.js";

/** Whether it lives, whether it can do its work and if not why, and numbers about it. */
export function healthRoutes(engine: Engine): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.text("ok\n"));

  app.get("/healthz", (c) => {
    const reasons = notReadyBecause(engine);
    const ready = reasons.length === 0;
    return c.json({ live: true, ready, reasons }, ready ? 200 : 503);
  });

  app.get("/metrics", (c) =>
    c.body(engine.metrics.text(), 200, { "content-type": openMetricsType }),
  );
  return app;
}

function notReadyBecause(engine: Engine): string[] {
  const pipelines = engine.pipelines.views();
  const workers = engine.workers.views();
  return [
    ...(pipelines.length === 0 ? ["no pipeline"] : []),
    ...pipelines
      .filter((view) => view.pipeline === null)
      .map((view) => `pipeline ${view.name} has not loaded`),
    ...workers
      .filter((worker) => worker.status !== "connected")
      .map((worker) => `worker ${worker.url} is ${worker.status}`),
  ];
}
