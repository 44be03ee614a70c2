// How the command line and programs talk to a boss. Contract: boss.ts.

import type { IncomingMessage } from "node:http";
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
import { type Call, Connection, causeOf, get, post, readText, untilSilent } from "./connection.js";
import type { KeptBossClient } from "./kept-boss-client.js";
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
  kept(): Promise<KeptBossClient>;
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
  const connection = new Connection(base, { token: () => token, ...(ca && { ca }) });

  async function request(call: Call): Promise<IncomingMessage> {
    let response: IncomingMessage;
    try {
      response = await connection.open(call);
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw new BossUnreachable(
        `no boss answers at ${base} (${causeOf(error)}). Is it running? Try: bettertest up, or name another with --boss URL`,
      );
    }
    const { statusCode = 500 } = response;
    if (statusCode >= 300) throw new BossRefused(await refusalOf(response, base), statusCode);
    return response;
  }

  /** What is of no interest is read nevertheless, so that its connection is free again. */
  const done = async (call: Call) => void (await request(call)).resume();

  async function json<T>(call: Call, isRight: (value: unknown) => value is T): Promise<T> {
    const text = await readText(await request(call)).catch(() => "");
    const value = parseJson(text);
    if (isRight(value)) return value;
    throw new BossRefused(
      `what answers at ${base} is not a boss this version understands (${call.path})`,
      502,
    );
  }

  /** Its bytes; a break of the connection is said as such. */
  async function* bodyOf(
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
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
      open: () => request(get(pathFrom(next), signal)),
      async *read(response) {
        for await (const chunk of bodyOf(response, signal)) {
          next += chunk.length;
          yield chunk;
        }
      },
    });
  }

  return {
    url: base,
    pipelines: () => json(get("api/pipelines"), listOf<PipelineView>("name")),
    workers: () => json(get("api/workers"), listOf<WorkerView>("url")),
    runs: ({ limit, pipeline } = {}) =>
      json(get(`api/runs${queryOf({ limit, pipeline })}`), listOf<RunSummary>("id")),
    run: (id) => json(get(`api/runs/${id}`), objectWith<RunSnapshot>("run")),
    start: async (body) => (await json(post("api/runs", body, "once"), isStarted)).run,
    rerun: async (id, body) =>
      (await json(post(`api/runs/${id}/rerun`, body, "once"), isStarted)).run,
    cancel: (id) => done(post(`api/runs/${id}/cancel`)),
    pin: (id, pinned) => done(post(`api/runs/${id}/${pinned ? "pin" : "unpin"}`)),

    async *events(run, { after = 0, signal } = {}) {
      let last = after;
      yield* persevere({
        signal,
        onAway,
        open: () =>
          request({
            ...get(`api/runs/${run}/events${queryOf({ after: last })}`, signal),
            headers: { accept: "text/event-stream" },
          }),
        async *read(response) {
          const chunks = untilSilent(response, connection.silenceMs);
          for await (const message of parseSse(bodyOf(chunks, signal))) {
            const logged = parseJson(message.data);
            if (!isLoggedEvent(logged)) throw new Error(`what came is no event: ${message.data}`);
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
        `api/runs/${run}/tasks/${place}/output${queryOf({ ...how, offset })}`;
      return bytes(path, part);
    },

    serviceOutput({ run, stage, task, service, attempt, call, follow, ...part }) {
      const place = [stage, task, "services", service].map(encodeURIComponent).join("/");
      const how = { attempt, call, follow: follow ? 1 : undefined };
      const path = (offset: number) =>
        `api/runs/${run}/tasks/${place}/output${queryOf({ ...how, offset })}`;
      return bytes(path, part);
    },

    artifacts: (run) =>
      json(get(`api/runs/${run}/artifacts`), objectWith<ArtifactsView>("artifacts")),

    async *artifact(run, { path, stage, task, attempt, call }) {
      const place = path.split("/").map(encodeURIComponent).join("/");
      const query = queryOf({ stage, task, attempt, call });
      let came = 0;
      yield* persevere({
        onAway,
        open: () => request(get(`api/runs/${run}/artifacts/${place}${query}`)),
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

    async kept() {
      const { createKeptBossClient } = await import("./kept-boss-client.js");
      return createKeptBossClient(request);
    },
  };
}

/** Throws where it cannot be one. */
export function normalizeBossUrl(url: string): string {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `http://${url}`;
  if (!URL.canParse(withScheme) || !/^https?:$/.test(new URL(withScheme).protocol)) {
    throw new Error(`${url} cannot be the URL of a boss: it looks like http://localhost:9001`);
  }
  return withScheme.replace(/\/+$/, "");
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

async function refusalOf(response: IncomingMessage, base: string): Promise<string> {
  const { statusCode, headers } = response;
  if (headers.location !== undefined) {
    response.resume();
    return `the boss at ${base} answered ${statusCode}, that it is at ${headers.location}: name that`;
  }
  const text = await readText(response).catch(() => "");
  const value = parseJson(text);
  if (!isRefusal(value)) return `the boss at ${base} answered ${statusCode}: ${text.slice(0, 200)}`;
  const { error, field } = value;
  return typeof field === "string" && !error.includes(field) ? `${field}: ${error}` : error;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// By hand, since a start has no time for schemas. Only the key that tells the shape apart is checked: boss and client come
// from one package, and a field that a newer boss adds must not stop an older client.
function has<K extends string>(value: unknown, ...keys: K[]): value is Record<K, unknown> {
  return typeof value === "object" && value !== null && keys.every((key) => key in value);
}

function objectWith<T>(key: keyof T & string) {
  return (value: unknown): value is T => has(value, key);
}

function listOf<T>(key: keyof T & string) {
  return (value: unknown): value is T[] =>
    Array.isArray(value) && value.every((one) => has(one, key));
}

function isRefusal(value: unknown): value is { readonly error: string; readonly field?: unknown } {
  return has(value, "error") && typeof value.error === "string";
}

function isStarted(value: unknown): value is { readonly run: number } {
  return has(value, "run") && Number.isInteger(value.run);
}

function isLoggedEvent(value: unknown): value is LoggedEvent {
  return has(value, "seq", "event") && typeof value.seq === "number" && has(value.event, "type");
}
