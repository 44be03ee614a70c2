// How the command line and programs talk to a boss. Contract: boss.ts.

import * as z from "zod";
import { parseSse } from "../lib/sse.js";
import type { LoggedEvent } from "../model/events.js";
import type { TaskRef } from "../model/pipeline.js";
import type { Artifact } from "../model/test-results.js";
import type {
  ArtifactsView,
  PipelineView,
  RerunRequest,
  RunSnapshot,
  RunSummary,
  StartRunRequest,
  WorkerView,
} from "./boss.js";
import { BossRefused, BossUnreachable } from "./boss-error.js";
import { fetchTrusting, type TrustingInit } from "./fetch-trusting.js";
import { createKeptBossClient, type KeptBossClient } from "./kept-boss-client.js";
import { persevere } from "./persevere.js";

export { BossRefused, BossUnreachable } from "./boss-error.js";

export interface OutputRequest extends TaskRef {
  readonly run: number;
  /** Default: the last one, which after a loss of the connection may be another. */
  readonly attempt?: number;
  readonly offset?: number;
  /** Goes on until the attempt ends. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

export interface ServiceOutputRequest extends OutputRequest {
  readonly service: string;
  readonly call: number;
}

/** What comes as a stream survives losses of the connection, as long as the boss comes back within a minute. */
export interface BossClient {
  readonly url: string;
  pipelines(): Promise<readonly PipelineView[]>;
  workers(): Promise<readonly WorkerView[]>;
  runs(query?: {
    readonly limit?: number;
    readonly pipeline?: string;
  }): Promise<readonly RunSummary[]>;
  run(id: number): Promise<RunSnapshot>;
  start(request: StartRunRequest): Promise<number>;
  rerun(id: number, request: RerunRequest): Promise<number>;
  cancel(id: number): Promise<void>;
  pin(id: number, pinned: boolean): Promise<void>;
  /** The run's events after `after`; ends after run-finished. */
  events(run: number, options?: EventsOptions): AsyncGenerator<LoggedEvent>;
  output(request: OutputRequest): AsyncGenerator<Uint8Array>;
  serviceOutput(request: ServiceOutputRequest): AsyncGenerator<Uint8Array>;
  artifacts(run: number): Promise<ArtifactsView>;
  artifact(run: number, artifact: Artifact): AsyncGenerator<Uint8Array>;
  /** Sandboxes of red commands. */
  readonly kept: KeptBossClient;
}

export interface EventsOptions {
  readonly after?: number;
  readonly signal?: AbortSignal;
}

export interface BossClientOptions {
  readonly token?: string;
  /** Certificates to trust, where they are not the usual ones. */
  readonly ca?: readonly string[];
  /** Told when a boss that is away is waited for. */
  readonly onAway?: (message: string) => void;
}

export function createBossClient(
  url: string,
  { token, ca, onAway }: BossClientOptions = {},
): BossClient {
  const base = normalizeBossUrl(url);

  async function request(path: string, given: TrustingInit = {}): Promise<Response> {
    const init = {
      ...given,
      headers: {
        ...given.headers,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
    };
    let response: Response;
    try {
      const isTrusting = ca !== undefined && base.startsWith("https:");
      response = await (isTrusting
        ? fetchTrusting(ca, `${base}${path}`, init)
        : fetch(`${base}${path}`, init));
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new BossUnreachable(
        `no boss answers at ${base} (${causeOf(error)}). Is it running? Try: bettertest up, or name another with --boss URL`,
      );
    }
    if (!response.ok) throw new BossRefused(await refusalOf(response, base), response.status);
    return response;
  }

  async function json<T>(path: string, schema: z.ZodType<T>, init?: TrustingInit): Promise<T> {
    const response = await request(path, init);
    const body: unknown = await response.json().catch(() => null);
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new BossRefused(
      `what answers at ${base} is not a boss this version understands (${path})`,
      502,
    );
  }

  /** Its bytes; a break of the connection is said as such. */
  async function* bodyOf(
    response: Response,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    try {
      if (response.body) yield* response.body;
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new BossUnreachable(
        `the connection to the boss at ${base} was lost (${causeOf(error)})`,
      );
    }
  }

  /** From `offset` on, which `pathFrom` asks for. */
  async function* bytes(
    pathFrom: (offset: number) => string,
    { offset = 0, signal }: Pick<OutputRequest, "offset" | "signal">,
  ): AsyncGenerator<Uint8Array> {
    let next = offset;
    yield* persevere({
      signal,
      onAway,
      open: () => request(pathFrom(next), signal ? { signal } : {}),
      async *read(response) {
        for await (const chunk of bodyOf(response, signal)) {
          next += chunk.length;
          yield chunk;
        }
      },
    });
  }

  const post = (body: unknown): TrustingInit => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

  return {
    url: base,
    pipelines: () => json("/api/pipelines", listOf<PipelineView>("name")),
    workers: () => json("/api/workers", listOf<WorkerView>("url")),
    runs: ({ limit, pipeline } = {}) =>
      json(`/api/runs${queryOf({ limit, pipeline })}`, listOf<RunSummary>("id")),
    run: (id) => json(`/api/runs/${id}`, objectWith<RunSnapshot>("run")),
    start: async (body) => (await json("/api/runs", startedRun, post(body))).run,
    rerun: async (id, body) => (await json(`/api/runs/${id}/rerun`, startedRun, post(body))).run,
    cancel: async (id) => {
      await request(`/api/runs/${id}/cancel`, post({}));
    },
    pin: async (id, pinned) => {
      await request(`/api/runs/${id}/${pinned ? "pin" : "unpin"}`, post({}));
    },

    async *events(run, { after = 0, signal } = {}) {
      let last = after;
      yield* persevere({
        signal,
        onAway,
        open: () =>
          request(`/api/runs/${run}/events${queryOf({ after: last })}`, {
            headers: { accept: "text/event-stream" },
            ...(signal && { signal }),
          }),
        async *read(response) {
          for await (const message of parseSse(bodyOf(response, signal))) {
            const logged = loggedEvent.parse(JSON.parse(message.data));
            last = logged.seq;
            yield logged;
            if (logged.event.type === "run-finished") return;
          }
          throw new BossUnreachable(`the connection to the boss at ${base} was lost in run ${run}`);
        },
      });
    },

    output({ run, stage, task, attempt, follow, ...part }) {
      const place = [stage, task].map(encodeURIComponent).join("/");
      const how = { attempt, follow: follow ? 1 : undefined };
      const path = (offset: number) =>
        `/api/runs/${run}/tasks/${place}/output${queryOf({ ...how, offset })}`;
      return bytes(path, part);
    },

    serviceOutput({ run, stage, task, service, attempt, call, follow, ...part }) {
      const place = [stage, task, "services", service].map(encodeURIComponent).join("/");
      const how = { attempt, call, follow: follow ? 1 : undefined };
      const path = (offset: number) =>
        `/api/runs/${run}/tasks/${place}/output${queryOf({ ...how, offset })}`;
      return bytes(path, part);
    },

    artifacts: (run) => json(`/api/runs/${run}/artifacts`, objectWith<ArtifactsView>("artifacts")),

    async *artifact(run, { path, stage, task, attempt, call }) {
      const place = path.split("/").map(encodeURIComponent).join("/");
      const query = queryOf({ stage, task, attempt, call });
      let came = 0;
      yield* persevere({
        onAway,
        open: () => request(`/api/runs/${run}/artifacts/${place}${query}`),
        async *read(response) {
          // It comes from its beginning again.
          let known = came;
          for await (const chunk of bodyOf(response, undefined)) {
            const rest = chunk.subarray(Math.min(known, chunk.length));
            known -= chunk.length - rest.length;
            came += rest.length;
            if (rest.length > 0) yield rest;
          }
        },
      });
    },

    kept: createKeptBossClient(request),
  };
}

export function normalizeBossUrl(url: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `http://${url}`;
  return withScheme.replace(/\/+$/, "");
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

async function refusalOf(response: Response, base: string): Promise<string> {
  const text = await response.text().catch(() => "");
  const parsed = apiError.safeParse(parseJson(text));
  if (!parsed.success)
    return `the boss at ${base} answered ${response.status}: ${text.slice(0, 200)}`;
  const { error, field } = parsed.data;
  return field && !error.includes(field) ? `${field}: ${error}` : error;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause: unknown = error.cause;
  if (cause instanceof AggregateError) return causeOf(cause.errors[0]);
  return cause instanceof Error ? cause.message : error.message;
}

const apiError = z.object({ error: z.string(), field: z.string().optional() });
const startedRun = z.object({ run: z.number().int() });

// Only the key that tells the shape apart is checked: boss and client come from one package, and a
// field that a newer boss adds must not stop an older client.
function objectWith<T>(key: keyof T & string): z.ZodType<T> {
  return z.custom<T>((value) => typeof value === "object" && value !== null && key in value);
}

function listOf<T>(key: keyof T & string): z.ZodType<T[]> {
  return z.array(objectWith<T>(key));
}

const loggedEvent: z.ZodType<LoggedEvent> = z.custom<LoggedEvent>(
  (value) =>
    typeof value === "object" &&
    value !== null &&
    "seq" in value &&
    typeof value.seq === "number" &&
    "event" in value &&
    typeof value.event === "object",
);
