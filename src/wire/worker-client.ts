// The asking side of wire/worker.ts: what a boss, a CLI or a test calls to have a command run.

import { randomUUID } from "node:crypto";
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import { parseSse } from "../lib/sse.js";
import { type CommandRequest, ExecutionEvent, type Outcome, WorkerInfo } from "./worker.js";

export interface ExecuteIo {
  /** Gets every byte of output once, in order. A promise means: no more until it resolves. */
  output(bytes: Uint8Array): Promise<void> | undefined;
  /** Waits for a slot of the worker, with so many ahead. */
  queued?(ahead: number): void;
  started(sandbox: string): void;
}

export type WorkerState =
  | { readonly kind: "up"; readonly info: WorkerInfo }
  | { readonly kind: "down"; readonly message: string };

export interface WorkerClient {
  readonly url: string;
  /**
   * Never rejects: what went wrong on the way is a `faulted` outcome. Resolves after `output` has taken
   * the last byte. Aborting ends the sandbox; the outcome is then `cancelled`.
   */
  execute(request: CommandRequest, io: ExecuteIo, signal: AbortSignal): Promise<Outcome>;
  /** Rejects with words for the user. */
  info(signal?: AbortSignal): Promise<WorkerInfo>;
  /** Tells the worker's state now and at each change, reconnecting, until the signal is aborted. */
  watch(listener: (state: WorkerState) => void, signal: AbortSignal): Promise<void>;
  /** Closes idle connections. */
  close(): void;
}

export interface WorkerClientOptions {
  readonly connectTimeoutMs?: number;
  /** A worker sends a sign of life every 15 s. One that is silent for so long is lost. */
  readonly silenceMs?: number;
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
}

interface Call {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** The worker was reached, and then something went wrong. */
class WorkerError extends Error {}

export function createWorkerClient(url: string, options: WorkerClientOptions = {}): WorkerClient {
  const {
    connectTimeoutMs = 10_000,
    silenceMs = 45_000,
    firstRetryMs = 100,
    longestRetryMs = 5_000,
  } = options;
  const base = new URL(url.endsWith("/") ? url : `${url}/`);
  const isHttps = base.protocol === "https:";
  const agent = new (isHttps ? HttpsAgent : Agent)({ keepAlive: true, keepAliveMsecs: 15_000 });
  const send = isHttps ? httpsRequest : httpRequest;

  function open(call: Call): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = call.body === undefined ? {} : jsonHeaders(call.body);
      const { method, signal } = call;
      const request = send(new URL(call.path, base), {
        method,
        headers,
        agent,
        ...(signal && { signal }),
      });
      limitConnecting(request, connectTimeoutMs);
      request.once("response", resolve);
      request.on("error", (error) => {
        // The worker closed an idle connection just when it was used again. Every call may be repeated.
        const isStale = request.reusedSocket && "code" in error && error.code === "ECONNRESET";
        if (isStale && !signal?.aborted) open(call).then(resolve, reject);
        else reject(error);
      });
      request.end(call.body);
    });
  }

  function unreachable(error: unknown): string {
    return `worker ${url} did not answer (${causeOf(error)})`;
  }
  const reachHint = `Is it running? Try: curl ${new URL("health", base)}`;

  async function execute(
    request: CommandRequest,
    io: ExecuteIo,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (signal.aborted) return { kind: "cancelled" };
    const path = `executions/${randomUUID()}`;
    const connection = new AbortController();
    const forget = () =>
      open({ method: "DELETE", path, signal: AbortSignal.timeout(connectTimeoutMs) }).then(
        (response) => void response.resume(),
        () => {},
      );
    const cancelled = new Promise<Outcome>((resolve) => {
      signal.addEventListener(
        "abort",
        () => {
          // The answer comes when the sandbox is gone.
          void forget().then(() => {
            connection.abort();
            resolve({ kind: "cancelled" });
          });
        },
        { once: true, signal: connection.signal },
      );
    });

    let reached = false;
    const attempt = async (): Promise<Outcome> => {
      const call = { method: "PUT", path, body: JSON.stringify(request) } as const;
      const events = await open({ ...call, signal: connection.signal });
      reached = true;
      if (events.statusCode !== 200) throw new WorkerError(await refusal(events));
      const output = copyOutput(path, io, connection.signal);
      // Looked at after `finished`; a broken connection breaks the events as well.
      output.received.catch(() => {});
      const watchdog = startWatchdog(events, silenceMs);
      for await (const { data } of parseSse(events)) {
        const event = ExecutionEvent.parse(JSON.parse(data));
        if (event.type === "queued") io.queued?.(event.ahead);
        else if (event.type === "started") io.started(event.sandbox);
        else {
          watchdog.end();
          output.expect(event.outputBytes);
          await output.received;
          if (!signal.aborted) void forget();
          return event.outcome;
        }
      }
      throw new WorkerError("the connection was closed");
    };
    const failed = (error: unknown): Outcome => {
      if (signal.aborted) return { kind: "cancelled" };
      if (error instanceof WorkerError && reached) {
        return { kind: "faulted", message: `worker ${url}: ${error.message}` };
      }
      return reached
        ? {
            kind: "faulted",
            message: `worker ${url} was lost while it ran the command (${causeOf(error)})`,
          }
        : { kind: "faulted", message: unreachable(error), hint: reachHint };
    };
    const outcome = await Promise.race([attempt().catch(failed), cancelled]);
    connection.abort();
    return outcome;
  }

  function copyOutput(path: string, io: ExecuteIo, signal: AbortSignal) {
    let received = 0;
    let expected = Number.POSITIVE_INFINITY;
    let finish: () => void = () => {};
    const isComplete = () => received >= expected;
    const done = (async () => {
      const response = await open({ method: "GET", path: `${path}/output`, signal });
      if (response.statusCode !== 200) throw new WorkerError(await refusal(response));
      await new Promise<void>((resolve, reject) => {
        finish = () => {
          if (isComplete()) resolve();
        };
        const fail = (error: Error) => {
          response.destroy();
          reject(error);
        };
        finish();
        response.on("data", (chunk: Buffer) => {
          received += chunk.length;
          const taking = io.output(chunk);
          if (!taking) return finish();
          response.pause();
          taking.then(() => {
            response.resume();
            finish();
          }, fail);
        });
        response.on("error", reject);
        response.on("close", () => {
          if (!isComplete()) reject(new WorkerError(`output ended after ${received} bytes`));
        });
      });
    })();
    return {
      received: done,
      expect(bytes: number) {
        expected = bytes;
        finish();
      },
    };
  }

  async function info(signal?: AbortSignal): Promise<WorkerInfo> {
    let response: IncomingMessage;
    try {
      response = await open({ method: "GET", path: "info", ...(signal && { signal }) });
    } catch (error) {
      throw new Error(`${unreachable(error)}. ${reachHint}`, { cause: error });
    }
    if (response.statusCode !== 200) throw new Error(`worker ${url}: ${await refusal(response)}`);
    return WorkerInfo.parse(JSON.parse(await readText(response)));
  }

  async function watch(listener: (state: WorkerState) => void, signal: AbortSignal): Promise<void> {
    let retryMs = firstRetryMs;
    while (!signal.aborted) {
      let cause: unknown = new Error("the connection was closed");
      try {
        const response = await open({ method: "GET", path: "events", signal });
        if (response.statusCode !== 200) throw new Error(await refusal(response));
        const watchdog = startWatchdog(response, silenceMs);
        try {
          for await (const { data } of parseSse(response)) {
            retryMs = firstRetryMs;
            listener({ kind: "up", info: WorkerInfo.parse(JSON.parse(data)) });
          }
        } finally {
          watchdog.end();
        }
      } catch (error) {
        cause = error;
      }
      if (signal.aborted) return;
      listener({ kind: "down", message: `${unreachable(cause)}. ${reachHint}` });
      // Jittered, so that many bosses do not come back to a restarted worker at the same moment.
      await wait(retryMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  }

  return { url, execute, info, watch, close: () => agent.destroy() };
}

function jsonHeaders(body: string) {
  return { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
}

function limitConnecting(request: ClientRequest, timeoutMs: number) {
  const timer = setTimeout(() => {
    request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`));
  }, timeoutMs);
  request.once("response", () => clearTimeout(timer));
  request.once("close", () => clearTimeout(timer));
}

/** Breaks a connection on which nothing arrives: its other end is gone without having said so. */
function startWatchdog(response: IncomingMessage, silenceMs: number) {
  const timer = setTimeout(() => {
    response.destroy(new Error(`silent for ${silenceMs / 1000} s`));
  }, silenceMs);
  const sign = () => void timer.refresh();
  response.socket.on("data", sign);
  const end = () => {
    clearTimeout(timer);
    response.socket?.off("data", sign);
  };
  response.once("close", end);
  return { end };
}

async function refusal(response: IncomingMessage): Promise<string> {
  const text = await readText(response);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "error" in body) return String(body.error);
  } catch {
    // Not one of ours, a proxy perhaps.
  }
  return `answered ${response.statusCode}: ${text.slice(0, 200).trim()}`;
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += chunk;
  return text;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // localhost has two addresses, and Node then reports both failures as one without a message.
  if (error instanceof AggregateError) return error.errors.map(causeOf).join(", ");
  return error.message;
}
