import { Hono } from "hono";
import type { Engine } from "../engine.js";
import { NotFound, numberParameter } from "../request.js";

/** What many runs say together. */
export function historyRoutes(engine: Engine): Hono {
  const app = new Hono();
  const { statistics } = engine;

  /** Also one whose pipedef is gone: its runs are not. */
  const pipelineOf = (name: string | undefined) => {
    const view = engine.pipelines.find(name);
    if (view) return view.name;
    if (name !== undefined && engine.store.runs({ pipeline: name, limit: 1 }).length > 0)
      return name;
    throw new NotFound(
      name === undefined
        ? "say which pipeline: ?pipeline=NAME"
        : `there is no pipeline ${JSON.stringify(name)}, and no run of one`,
    );
  };

  app.get("/history", (c) => {
    const before = numberParameter(c, "before", { min: 1 });
    const limit = numberParameter(c, "limit", { min: 1, max: 200 }) ?? 30;
    const pipeline = pipelineOf(c.req.query("pipeline"));
    return c.json(statistics.history(pipeline, { limit, ...(before !== undefined && { before }) }));
  });

  app.get("/usual", (c) => c.json(statistics.usual(pipelineOf(c.req.query("pipeline")))));

  return app;
}
