// What ran beside the commands of a task.

import { type Context, Hono } from "hono";
import { findTask, type Run } from "../../model/run.js";
import type { Engine } from "../engine.js";
import type { OutputRef } from "../output/outputs.js";
import type { ServiceRef } from "../output/service-outputs.js";
import { NotFound, numberParameter } from "../request.js";
import { askedPart, outputResponse } from "./output-response.js";
import { theAttempt, theRun } from "./runs.js";

export function serviceRoutes(engine: Engine): Hono {
  const app = new Hono();
  const { services } = engine.outputs;

  app.get("/:id/tasks/:stage/:task/services/:name/output", async (c) => {
    const run = theRun(engine, c);
    const attempt = theAttempt(run, c);
    const ref = theService(run, attempt, engine.outputs.path(attempt), c);
    const length = await services.length(ref);
    if (length === null) throw new NotFound("the output of this service is not there any more");
    const part = askedPart(c, length);
    return outputResponse(engine, length, (signal) => services.read(ref, { ...part, signal }));
  });

  return app;
}

function theService(run: Run, { attempt }: OutputRef, outputPath: string, c: Context): ServiceRef {
  const name = c.req.param("name") ?? "";
  const calls = findTask(run, attempt)?.attempts[attempt.attempt - 1]?.services ?? {};
  const withIt = Object.entries(calls)
    .filter(([, services]) => services.some((service) => service.name === name))
    .map(([call]) => Number(call));
  const call = numberParameter(c, "call", { min: 1 }) ?? withIt.at(-1);
  if (call !== undefined && withIt.includes(call)) return { outputPath, call, name };
  const what = `${attempt.stage}.${attempt.task}${call === undefined ? "" : ` in its call ${call}`}`;
  throw new NotFound(`${what} has no service ${JSON.stringify(name)}`);
}
