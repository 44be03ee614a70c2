import { type Context, Hono } from "hono";
import type { Audit } from "../../access/audit.js";
import { byWhom, callerOf } from "../../access/caller.js";
import type { AttemptRef } from "../../model/events.js";
import { findTask, type Run, type TaskState } from "../../model/run.js";
import { parseBody } from "../../wire/body.js";
import {
  type OutputMarksView,
  RerunRequest,
  type RunSnapshot,
  StartRunRequest,
} from "../../wire/boss.js";
import type { Engine } from "../engine.js";
import type { OutputRef } from "../output/outputs.js";
import { NotFound, numberParameter } from "../request.js";
import { eventMessage, streamSse } from "../stream.js";
import { askedPart, outputResponse } from "./output-response.js";

export function runRoutes(engine: Engine, audit: Audit): Hono {
  const app = new Hono();

  app.post("/", async (c) => {
    const request = await parseBody(c.req.raw, StartRunRequest);
    const caller = callerOf(c.req.raw);
    const started = engine.start({ ...request, trigger: `api${byWhom(caller)}` });
    if (started.ok) audit.write("run-started", caller, { run: started.run });
    return started.ok ? c.json({ run: started.run }, 201) : refuse(c, started);
  });

  app.get("/", (c) => {
    const before = numberParameter(c, "before", { min: 1 });
    const pipeline = c.req.query("pipeline");
    const runs = engine.store.runs({
      limit: numberParameter(c, "limit", { min: 1, max: 1000 }) ?? 50,
      ...(before !== undefined && { before }),
      ...(pipeline !== undefined && { pipeline }),
    });
    return c.json(runs);
  });

  app.get("/:id", (c) => {
    const run = theRun(engine, c);
    return c.json({ seq: engine.store.storedSeq(), run } satisfies RunSnapshot);
  });

  app.get("/:id/events", (c) => {
    const { id } = theRun(engine, c);
    const after = resumeAfter(c) ?? 0;
    return streamSse(engine.streams, async function* (signal) {
      for await (const batch of engine.log.followBatches({ run: id, after, signal })) {
        yield batch.map(eventMessage);
      }
    });
  });

  app.post("/:id/cancel", (c) => {
    const { id } = theRun(engine, c);
    const caller = callerOf(c.req.raw);
    if (engine.cancel(id, `api${byWhom(caller)}`)) {
      audit.write("run-cancelled", caller, { run: id });
      return c.json({ run: id }, 202);
    }
    return c.json({ error: `run ${id} has already ended` }, 409);
  });

  for (const [action, pinned] of [
    ["pin", true],
    ["unpin", false],
  ] as const) {
    app.post(`/:id/${action}`, (c) => {
      const { id } = theRun(engine, c);
      const caller = callerOf(c.req.raw);
      if ((engine.store.run(id)?.pinned ?? false) !== pinned) {
        engine.pin(id, pinned, `api${byWhom(caller)}`);
        audit.write(pinned ? "run-pinned" : "run-unpinned", caller, { run: id });
      }
      return c.json({ run: id, pinned });
    });
  }

  app.post("/:id/rerun", async (c) => {
    const { id } = theRun(engine, c);
    const { failed = false, ...asked } = await parseBody(c.req.raw, RerunRequest);
    const caller = callerOf(c.req.raw);
    const trigger = `rerun of ${id}${byWhom(caller)}`;
    const started = engine.rerun(id, { ...asked, failed, trigger });
    if (started.ok) audit.write("run-rerun", caller, { run: started.run, of: id });
    return started.ok ? c.json({ run: started.run }, 201) : refuse(c, started);
  });

  app.get("/:id/tasks/:stage/:task", (c) => c.json(theTask(theRun(engine, c), c).state));

  app.get("/:id/tasks/:stage/:task/output", async (c) => {
    const run = theRun(engine, c);
    const ref = theAttempt(run, c);
    const length = await engine.outputs.length(ref);
    if (length === null) throw new NotFound("the output of this task is not there any more");
    const { offset, follow } = askedPart(c, length);
    const limit = numberParameter(c, "limit", { min: 0 });
    const part = { offset, ...(limit !== undefined && { limit }) };
    return outputResponse(engine, length, (signal) =>
      follow ? engine.outputs.follow(ref, { ...part, signal }) : engine.outputs.read(ref, part),
    );
  });

  app.get("/:id/tasks/:stage/:task/output/marks", async (c) => {
    const ref = theAttempt(theRun(engine, c), c);
    const from = numberParameter(c, "from", { min: 0 }) ?? 0;
    const marks = (await engine.outputs.marks(ref)).filter(({ offset }) => offset >= from);
    const view: OutputMarksView = {
      marks: marks.map(({ offset, atMs, source }) => [offset, atMs, source]),
    };
    return c.json(view);
  });

  return app;
}

/** Where an SSE reader goes on: what the browser sends by itself after a break, or what a program asks for. */
export function resumeAfter(c: Context): number | undefined {
  const last = c.req.header("last-event-id");
  if (last !== undefined && /^\d+$/.test(last)) return Number(last);
  return numberParameter(c, "after", { min: 0 });
}

export function theRun(engine: Engine, c: Context): Run {
  const text = c.req.param("id") ?? "";
  const run = /^\d{1,15}$/.test(text) ? engine.store.shown(Number(text)) : undefined;
  if (!run) throw new NotFound(`there is no run ${JSON.stringify(text)}`);
  return run;
}

function theTask(run: Run, c: Context): { ref: { stage: string; task: string }; state: TaskState } {
  const ref = { stage: c.req.param("stage") ?? "", task: c.req.param("task") ?? "" };
  const state = findTask(run, ref);
  if (!state) throw new NotFound(`run ${run.id} has no task ${ref.stage}.${ref.task}`);
  return { ref, state };
}

export function theAttempt(run: Run, c: Context): OutputRef {
  const { ref, state } = theTask(run, c);
  const last = state.attempts.length;
  const attempt = numberParameter(c, "attempt", { min: 1 }) ?? last;
  if (attempt > last) {
    throw new NotFound(
      last === 0
        ? `${ref.stage}.${ref.task} has not started, so there is no output yet`
        : `${ref.stage}.${ref.task} has no attempt ${attempt}; its last is ${last}`,
    );
  }
  const found: AttemptRef = { ...ref, attempt };
  return { run: run.id, pipeline: run.pipeline!, attempt: found };
}

function refuse(
  c: Context,
  { status, error, field }: { status: 400 | 404 | 409 | 429; error: string; field?: string },
) {
  if (status === 429) c.header("retry-after", "10");
  return c.json({ error, ...(field !== undefined && { field }) }, status);
}
