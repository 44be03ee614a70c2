// The worker's HTTP side: requests in, streams out. The contract is in wire/worker.ts.

import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { openMetricsType } from "../lib/openmetrics.js";
import { encodeSse } from "../lib/sse.js";
import { BadRequest, parseBody } from "../wire/body.js";
import { bytesResponse, sseResponse } from "../wire/stream.js";
import { type StreamCount, TooManyStreams } from "../wire/stream-count.js";
import { encodeOutput, outputMessages } from "../wire/told-output.js";
import {
  CommandRequest,
  type ExpectedSandbox,
  ExpectedSandboxes,
  type WorkerInfo,
  workerHeaders,
} from "../wire/worker.js";
import type { Told } from "./execution.js";
import type { Executions } from "./executions.js";
import type { KeptSandboxes } from "./kept/kept.js";
import { keptRoutes } from "./kept/routes.js";
import { LogEvents } from "./log-events.js";
import { type Maxima, shapeWithinMaxima, withinMaxima } from "./maxima.js";
import type { WorkerMetrics } from "./metrics.js";
import { runStream } from "./run-stream.js";
import { sourceRoutes } from "./sources/routes.js";
import type { Sources } from "./sources/sources.js";

export interface AppDeps {
  readonly executions: Executions;
  readonly maxima: Maxima;
  readonly metrics: WorkerMetrics;
  readonly sources: Sources;
  readonly kept: KeptSandboxes;
  readonly info: () => WorkerInfo;
  /** The info now and at each change. */
  readonly followInfo: (signal: AbortSignal) => AsyncGenerator<WorkerInfo>;
  readonly expect: (expected: readonly ExpectedSandbox[]) => void;
  readonly keepAliveMs: number;
  readonly streams: StreamCount;
  /** Why nothing new is taken now, in words; null: it is. */
  readonly refusesNew: () => string | null;
}

const executionId = /^[\w.:-]{1,128}$/;

export function createWorkerApp(deps: AppDeps): Hono {
  const { executions, maxima, keepAliveMs, streams } = deps;
  const app = new Hono();

  app.notFound((c) => c.json({ error: `there is no ${c.req.method} ${c.req.path} here` }, 404));
  app.onError((error, c) => {
    if (error instanceof TooManyStreams) return tooMany(c, error.message);
    const status = error instanceof BadRequest ? error.status : 500;
    // The rest of a body that is too large is still on its way: this connection is of no more use.
    if (status === 413) c.header("connection", "close");
    return c.json({ error: error.message }, status);
  });

  const instance = randomUUID();
  app.use(async (c, next) => {
    await next();
    c.res.headers.set(workerHeaders.instance, instance);
  });

  app.get("/health", (c) => c.text("ok\n"));

  app.get("/healthz", (c) => {
    const { problem } = deps.info();
    const reasons = problem === null ? [] : [problem];
    const ready = reasons.length === 0;
    return c.json({ live: true, ready, reasons }, ready ? 200 : 503);
  });

  app.get("/metrics", (c) =>
    c.body(deps.metrics.text(deps.info()), 200, { "content-type": openMetricsType }),
  );

  app.get("/info", (c) => c.json(deps.info()));

  app.get("/events", () =>
    sseResponse(
      streams.counted(async function* (signal) {
        for await (const info of deps.followInfo(signal)) {
          yield encodeSse({ event: "info", data: JSON.stringify(info) });
        }
      }),
      { keepAliveMs },
    ),
  );

  app.post("/expected", async (c) => {
    const expected = await parseBody(c.req.raw, ExpectedSandboxes);
    if (deps.refusesNew() === null) {
      deps.expect(expected.map((shape) => shapeWithinMaxima(shape, maxima)));
    }
    return c.body(null, 204);
  });

  app.post("/run", async (c) => {
    const refusal = deps.refusesNew();
    if (refusal !== null) return c.json({ error: refusal }, 503);
    const request = withinMaxima(await parseBody(c.req.raw, CommandRequest), maxima);
    if (executions.isFull) return full(c, executions);
    streams.check();
    const id = randomUUID();
    const execution = executions.put(id, request)!;
    const detach = executions.attach(id);
    const lines = new LogEvents();
    const events = streams.counted((signal) => runStream(execution, lines, signal));
    return sseResponse(events, {
      keepAliveMs,
      mayKeepAlive: () => !lines.eventIsOpen,
      // Nobody else knows the id, so there is nobody to wait for.
      closed: () => {
        detach();
        void executions.remove(id);
      },
    });
  });

  app.route("/", sourceRoutes(deps.sources));
  app.route("/kept", keptRoutes(deps));

  app.put("/executions/:id", async (c) => {
    const resumes = c.req.header(workerHeaders.resume) === "1";
    // Whoever comes back is still told how its command ended.
    const refusal = resumes ? null : deps.refusesNew();
    if (refusal !== null) return c.json({ error: refusal }, 503);
    const id = c.req.param("id");
    if (!executionId.test(id)) {
      return c.json({ error: `id: must match ${executionId.source}, not "${id}"` }, 400);
    }
    const after = readCount(c.req.header("last-event-id"));
    if (after === null) return c.json({ error: "Last-Event-ID: must be a number" }, 400);
    const leaseMs = readCount(c.req.header(workerHeaders.lease));
    if (leaseMs === null) {
      return c.json({ error: `${workerHeaders.lease}: must be a number of milliseconds` }, 400);
    }
    const wantsOutput = c.req.header(workerHeaders.output) !== undefined;
    const offset = wantsOutput ? readCount(c.req.header(workerHeaders.output)) : null;
    if (wantsOutput && offset === null) {
      return c.json({ error: `${workerHeaders.output}: must be a number of bytes` }, 400);
    }
    // Whoever resumes may not know the request any more; its id is enough.
    const known = executions.get(id);
    if (resumes && !known) return unknown(c, id);
    if (executions.isFull && !known) return full(c, executions);
    // Before anything is started that nobody could follow.
    streams.check();
    const asked = async () => withinMaxima(await parseBody(c.req.raw, CommandRequest), maxima);
    const execution = resumes ? known : executions.put(id, await asked(), leaseMs || null);
    if (!execution) {
      return c.json({ error: `execution ${id} exists, and was asked for something else` }, 409);
    }
    return sseResponse(
      streams.counted(async function* (signal) {
        for await (const told of execution.followWithOutput({ after, offset }, signal)) {
          yield encodeTold(told);
        }
      }),
      {
        keepAliveMs,
        closed: executions.attach(id),
        ...(offset !== null && { headers: { [workerHeaders.output]: String(offset) } }),
      },
    );
  });

  app.post("/executions/:id/lease", (c) => {
    const id = c.req.param("id");
    return executions.renew(id) ? c.body(null, 204) : unknown(c, id);
  });

  /** While it is read its client is there. Not from the request on: the answer to a HEAD is never read. */
  const attached = (id: string, produce: (signal: AbortSignal) => AsyncIterable<Uint8Array>) =>
    async function* (signal: AbortSignal) {
      const detach = executions.attach(id);
      try {
        yield* produce(signal);
      } finally {
        detach();
      }
    };

  app.get("/executions/:id/output", (c) => {
    const id = c.req.param("id");
    const execution = executions.get(id);
    if (!execution) return unknown(c, id);
    const offset = readCount(c.req.query("offset"));
    if (offset === null) return c.json({ error: "offset: must be a number of bytes" }, 400);
    return bytesResponse(
      streams.counted(attached(id, (signal) => execution.followOutput(offset, signal))),
    );
  });

  app.get("/executions/:id/services/:name/output", (c) => {
    const { id, name } = c.req.param();
    const execution = executions.get(id);
    if (!execution) return unknown(c, id);
    if (!execution.hasService(name)) {
      return c.json({ error: `execution ${id} has no service ${JSON.stringify(name)}` }, 400);
    }
    const offset = readCount(c.req.query("offset"));
    if (offset === null) return c.json({ error: "offset: must be a number of bytes" }, 400);
    return bytesResponse(
      streams.counted(attached(id, (signal) => execution.followService(name, offset, signal))),
    );
  });

  app.get("/executions/:id/files", (c) => {
    const id = c.req.param("id");
    if (!executions.get(id)) return unknown(c, id);
    const offset = readCount(c.req.query("offset"));
    if (offset === null) return c.json({ error: "offset: must be a number of bytes" }, 400);
    return bytesResponse(attached(id, () => executions.pack(id, offset)));
  });

  app.delete("/executions/:id", async (c) => {
    await executions.remove(c.req.param("id"));
    return c.body(null, 204);
  });

  app.delete("/executions", async (c) => {
    const ids = c.req.queries("id") ?? [];
    await Promise.all(ids.map((id) => executions.remove(id)));
    return c.body(null, 204);
  });

  return app;
}

function encodeTold(told: Told): string {
  if (told === "more output") return encodeSse({ event: outputMessages.more, data: "" });
  if (told instanceof Uint8Array) {
    return encodeSse({ event: outputMessages.some, data: encodeOutput(told) });
  }
  const [number, event] = told;
  return encodeSse({ event: event.type, data: JSON.stringify(event), id: String(number) });
}

function full(c: Context, { most }: Executions) {
  return tooMany(c, `this worker knows ${most} commands already, and takes no more for now`);
}

function tooMany(c: Context, error: string) {
  return c.json({ error }, 429, { "retry-after": "10" });
}

function unknown(c: Context, id: string) {
  return c.json({ error: `there is no execution ${id} here` }, 404);
}

/** Nothing given counts as 0; null where it is no count. */
function readCount(text: string | undefined): number | null {
  if (text === undefined || text === "") return 0;
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
