// The boss's HTTP face.

import { Hono } from "hono";
import { type Audit, noAudit } from "../access/audit.js";
import { BadRequest } from "../wire/body.js";
import type { ApiError } from "../wire/boss.js";
import { TooManyStreams } from "../wire/stream-count.js";
import type { Engine } from "./engine.js";
import { NotFound } from "./request.js";
import { feedRoutes } from "./routes/feed.js";
import { healthRoutes } from "./routes/health.js";
import { historyRoutes } from "./routes/history.js";
import { keptRoutes } from "./routes/kept.js";
import { legacyRoutes } from "./routes/legacy.js";
import { openApiDocument } from "./routes/openapi.js";
import { outputRoutes } from "./routes/output.js";
import { pageRoutes } from "./routes/page.js";
import { resultRoutes } from "./routes/results.js";
import { runRoutes } from "./routes/runs.js";
import { serviceRoutes } from "./routes/services.js";
import { sessionRoutes } from "./routes/session.js";
import { HistoryUnwritable } from "./store/store.js";

export interface AppOptions {
  readonly version: string;
  readonly log: (line: string) => void;
  readonly audit?: Audit;
}

export function createApp(engine: Engine, { version, log, audit = noAudit }: AppOptions): Hono {
  const app = new Hono();

  app.route("/", healthRoutes(engine));
  app.route("/api/runs", runRoutes(engine, audit));
  app.route("/api/runs", outputRoutes(engine));
  app.route("/api/runs", resultRoutes(engine));
  app.route("/api/runs", serviceRoutes(engine));
  app.route("/api", keptRoutes(engine, audit));
  app.route("/api", feedRoutes(engine, version));
  app.route("/api", historyRoutes(engine));
  app.route("/api", legacyRoutes(engine, audit));
  app.route("/api", sessionRoutes());
  app.get("/api/openapi.json", (c) => c.json(openApiDocument(version) as object));
  app.route("/", pageRoutes());

  app.notFound((c) =>
    c.json({ error: `there is no ${c.req.method} ${c.req.path}; see /api/openapi.json` }, 404),
  );
  app.onError((error, c) => {
    if (error instanceof BadRequest) {
      const body: ApiError = { error: error.message, ...(error.field && { field: error.field }) };
      // The rest of a body that is too large is still on its way: this connection is of no more use.
      if (error.status === 413) c.header("connection", "close");
      return c.json(body, error.status);
    }
    if (error instanceof HistoryUnwritable) return c.json({ error: error.message }, 503);
    if (error instanceof TooManyStreams) {
      return c.json({ error: error.message }, 429, { "retry-after": "10" });
    }
    if (error instanceof NotFound) return c.json({ error: error.message }, 404);
    log(`${c.req.method} ${c.req.path}: ${error.stack ?? error.message}`);
    return c.json({ error: "bettertest failed to answer; its log has the reason" }, 500);
  });
  return app;
}
