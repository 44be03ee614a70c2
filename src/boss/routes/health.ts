import { Hono } from "hono";
import { openMetricsType } from "../../lib/openmetrics.js";
import type { Engine } from "../engine.js";
import { healthOf } from "../health.js";

/** Whether it lives, whether it can do its work and if not why, and numbers about it. */
export function healthRoutes(engine: Engine): Hono {
  const app = new Hono();
  app.get("/health", (c) => c.text("ok\n"));

  app.get("/healthz", (c) => {
    const health = healthOf(engine);
    return c.json({ live: true, ...health }, health.ready ? 200 : 503);
  });

  app.get("/metrics", (c) =>
    c.body(engine.metrics.text(), 200, { "content-type": openMetricsType }),
  );
  return app;
}
