// Kept sandboxes, and terminals in them: passed on to the worker that has them. To go in needs the right to
// change things, also for reading what a terminal says; who did is in the audit log.

import { type Context, Hono } from "hono";
import type { Audit } from "../../access/audit.js";
import { callerOf } from "../../access/caller.js";
import type { KeptSandboxCall } from "../../model/events.js";
import type { Run } from "../../model/run.js";
import { parseBody, readBytes } from "../../wire/body.js";
import type { KeptState } from "../../wire/boss.js";
import { TerminalRequest, TerminalSize } from "../../wire/kept.js";
import { KeptRefusal } from "../../wire/kept-client.js";
import { bytesResponse } from "../../wire/stream.js";
import { encodeFrame, lifeFrame } from "../../wire/terminal-frames.js";
import type { WorkerClient } from "../../wire/worker-client.js";
import type { Engine } from "../engine.js";
import { numberParameter } from "../request.js";
import { keptCallOf, listKept } from "../run/kept-sandboxes.js";
import { theRun } from "./runs.js";

const mostInputBytes = 64 * 1024;
const runsLookedAt = 1_000;

export function keptRoutes(engine: Engine, audit: Audit): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (!(error instanceof KeptRefusal)) throw error;
    const { status, message } = error;
    if (status === 404 || status === 409 || status === 503 || status === 413)
      return c.json({ error: message }, status);
    return c.json({ error: message }, 502);
  });

  app.get("/kept", (c) => c.json(listKept(newestRuns(engine), engine.workers)));

  const task = "/runs/:id/tasks/:stage/:task";

  app.get(`${task}/kept`, async (c) => {
    const { run, worker, kept } = place(engine, c);
    const { until, terminals } = await worker.kept.get(kept.execution);
    const { attempt, call } = kept;
    return c.json({
      run: run.id,
      ...refIn(c),
      attempt,
      call,
      until,
      terminals,
    } satisfies KeptState);
  });

  app.post(`${task}/release`, async (c) => {
    const { run, worker, kept } = place(engine, c);
    await worker.kept.release(kept.execution);
    audit.write("sandbox-released", callerOf(c.req.raw), detailsOf(run, c));
    return c.json({ run: run.id });
  });

  app.post(`${task}/terminals`, async (c) => {
    const request = await parseBody(c.req.raw, TerminalRequest);
    const { run, worker, kept } = place(engine, c);
    const terminal = await worker.kept.openTerminal(kept.execution, request);
    audit.write("sandbox-entered", callerOf(c.req.raw), detailsOf(run, c));
    return c.json({ terminal, attempt: kept.attempt, call: kept.call }, 201);
  });

  app.get(`${task}/terminals/:terminal/output`, async (c) => {
    if (callerOf(c.req.raw).access === "read") {
      return c.json({ error: "this token may look at runs, not into sandboxes" }, 403);
    }
    // What is read once would be read for nobody.
    if (c.req.method === "HEAD") return c.body(null, 405, { allow: "GET" });
    const { worker, kept } = place(engine, c);
    const left = new AbortController();
    const output = await worker.kept.output(kept.execution, terminalIn(c), left.signal);
    const frames = engine.outputStreams.counted(async function* (signal) {
      signal.addEventListener("abort", () => left.abort(), { once: true });
      if (signal.aborted) left.abort();
      try {
        for await (const one of output) yield encodeFrame(one);
      } finally {
        left.abort();
      }
    });
    return bytesResponse(frames, { keepAlive: lifeFrame });
  });

  app.post(`${task}/terminals/:terminal/input`, async (c) => {
    const { worker, kept } = place(engine, c);
    const offset = numberParameter(c, "offset", { min: 0 }) ?? 0;
    const isLast = c.req.query("end") === "1";
    const bytes = await readBytes(c.req.raw, mostInputBytes);
    await worker.kept.type(kept.execution, terminalIn(c), { bytes, offset, isLast });
    return c.body(null, 204);
  });

  app.post(`${task}/terminals/:terminal/size`, async (c) => {
    const size = await parseBody(c.req.raw, TerminalSize);
    const { worker, kept } = place(engine, c);
    await worker.kept.resize(kept.execution, terminalIn(c), size);
    return c.body(null, 204);
  });

  return app;
}

interface Place {
  readonly run: Run;
  readonly worker: WorkerClient;
  readonly kept: KeptSandboxCall;
}

function place(engine: Engine, c: Context): Place {
  const run = theRun(engine, c);
  const kept = keptCallOf(run, refIn(c), {
    attempt: numberParameter(c, "attempt", { min: 1 }),
    call: numberParameter(c, "call", { min: 1 }),
  });
  return { run, worker: engine.workers.clientOf(kept.worker), kept };
}

function refIn(c: Context) {
  return { stage: c.req.param("stage") ?? "", task: c.req.param("task") ?? "" };
}

function terminalIn(c: Context): string {
  return c.req.param("terminal") ?? "";
}

function detailsOf(run: Run, c: Context) {
  const { stage, task } = refIn(c);
  return { run: run.id, task: `${stage}.${task}` };
}

function* newestRuns({ store }: Engine): Generator<Run> {
  for (const { id } of store.runs({ limit: runsLookedAt })) {
    const run = store.shown(id);
    if (run) yield run;
  }
}
