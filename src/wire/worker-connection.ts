// HTTP to one worker: connections that are used again, limits on waiting, errors in words.

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { onSilence, type Silence } from "../lib/silence.js";
import { Turns } from "../lib/turns.js";
import { isLoopback } from "./loopback-guard.js";
import { workerHeaders } from "./worker.js";

export interface WorkerConnectionOptions {
  /** Asked at each request, since it may change. */
  readonly token?: () => string | undefined;
  /** Certificates to trust, where they are not the usual ones. */
  readonly ca?: readonly string[];
  readonly connectTimeoutMs?: number;
  /** A worker sends a sign of life every 15 s. One that is silent for so long is lost. */
  readonly silenceMs?: number;
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
}

export interface Call {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  readonly path: string;
  /** A text is JSON. */
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Until the answer begins. */
  readonly timeoutMs?: number;
  /** What it does must not be done twice. */
  readonly once?: boolean;
}

export interface Upload {
  readonly method: "PUT" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
  readonly signal: AbortSignal;
}

/** The request may have arrived, but no answer came. */
export class NoAnswerError extends Error {
  /** The connection was an old one, closed by the other end perhaps before the request came. */
  readonly stale: boolean;

  constructor(cause: Error, stale: boolean) {
    super(causeOf(cause), { cause });
    this.stale = stale;
  }
}

/** The worker was reached, and said or did something else than it should. */
export class WorkerError extends Error {
  /** It may be back soon; or another worker can do the same. */
  readonly isAway: boolean;

  constructor(message: string, isAway = false) {
    super(message);
    this.isAway = isAway;
  }
}

/** The worker has too much to do to hear of more; nothing was started. */
export class WorkerBusyError extends Error {}

export class WorkerConnection {
  readonly url: string;
  readonly reachHint: string;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  // A worker answers at once, also those who then wait for a slot. Thousands of connections at the same
  // moment would only overflow its system's queue for new ones.
  readonly turns = new Turns(64);
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #send: typeof httpRequest;
  readonly #token: () => string | undefined;
  #instance: string | undefined;

  constructor(
    url: string,
    {
      connectTimeoutMs = 10_000,
      silenceMs = 45_000,
      firstRetryMs = 100,
      longestRetryMs = 5_000,
      token = () => undefined,
      ca,
    }: WorkerConnectionOptions,
  ) {
    this.url = url;
    this.connectTimeoutMs = connectTimeoutMs;
    this.silenceMs = silenceMs;
    this.firstRetryMs = firstRetryMs;
    this.longestRetryMs = longestRetryMs;
    this.#base = new URL(url.endsWith("/") ? url : `${url}/`);
    const isHttps = this.#base.protocol === "https:";
    const kept = { keepAlive: true, keepAliveMsecs: 15_000 };
    this.#agent = isHttps
      ? new HttpsAgent({ ...kept, ...(ca && { ca: [...ca] }) })
      : new Agent(kept);
    this.#token = token;
    this.#send = isHttps ? httpsRequest : httpRequest;
    this.reachHint = `Is it running? Try: curl ${new URL("health", this.#base)}`;
  }

  /** What the worker's last answer said of who it is. */
  get instance(): string | undefined {
    return this.#instance;
  }

  open(call: Call): Promise<IncomingMessage> {
    const { method, path, body, signal, timeoutMs = this.silenceMs } = call;
    const token = this.#token();
    return new Promise((resolve, reject) => {
      const request = this.#send(new URL(path, this.#base), {
        method,
        headers: {
          ...call.headers,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && headersOf(body)),
        },
        agent: this.#agent,
        ...(signal && { signal }),
      });
      let connected = false;
      let answered = false;
      limitWaiting(request, {
        connectMs: this.connectTimeoutMs,
        answerMs: timeoutMs,
        connected: () => {
          connected = true;
        },
      });
      request.once("response", (response) => {
        const instance = response.headers[workerHeaders.instance];
        if (typeof instance === "string") this.#instance = instance;
        answered = true;
        resolve(response);
      });
      request.on("error", (error) => {
        // From here on it is the reader of the answer who hears of it.
        if (answered) return;
        const isStale =
          request.reusedSocket &&
          "code" in error &&
          ["ECONNRESET", "EPIPE"].includes(String(error.code));
        if (isStale && !call.once && !signal?.aborted) this.open(call).then(resolve, reject);
        else reject(connected ? new NoAnswerError(error, isStale) : error);
      });
      request.end(body);
    });
  }

  /** On this machine, as far as its name tells. */
  get isLoopback(): boolean {
    return isLoopback(this.#base.hostname.replace(/^\[|\]$/g, ""));
  }

  /** A long body, for as long as it makes its way; a worker that takes nothing more for a while is lost. */
  upload({ body, ...call }: Upload): Promise<IncomingMessage> {
    const token = this.#token();
    return new Promise((resolve, reject) => {
      const request = this.#send(new URL(call.path, this.#base), {
        method: call.method,
        headers: {
          ...call.headers,
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        agent: this.#agent,
        signal: call.signal,
      });
      const fail = (error: Error) => {
        silence.stop();
        body.destroy();
        reject(error);
      };
      const silent = () => request.destroy(silenceError(this.silenceMs));
      const silence = onSilence(this.silenceMs, silent);
      body.on("data", () => silence.broken());
      body.once("error", (error) => {
        request.destroy();
        fail(error);
      });
      request.once("response", (response) => {
        silence.stop();
        resolve(response);
      });
      request.on("error", fail);
      body.pipe(request);
    });
  }

  unreachable(error: unknown): string {
    return `worker ${this.url} did not answer (${causeOf(error)})`;
  }

  close(): void {
    this.#agent.destroy();
  }
}

function headersOf(body: string | Uint8Array) {
  const type = typeof body === "string" ? "application/json" : "application/octet-stream";
  return { "content-type": type, "content-length": Buffer.byteLength(body) };
}

function limitWaiting(
  request: ClientRequest,
  limits: { connectMs: number; answerMs: number; connected: () => void },
) {
  let silence: Silence | undefined;
  const wait = (ms: number) => {
    silence?.stop();
    silence = onSilence(ms, () => request.destroy(new Error(`no answer within ${ms / 1000} s`)));
  };
  const waitForAnswer = () => {
    limits.connected();
    if (!request.destroyed) wait(limits.answerMs);
  };
  wait(limits.connectMs);
  request.once("socket", (socket) => {
    if (socket.connecting) socket.once("connect", waitForAnswer);
    else waitForAnswer();
  });
  request.once("response", () => silence?.stop());
  request.once("close", () => silence?.stop());
}

/** Fails when nothing arrives for so long: the other end is then gone without having said so. */
export async function* untilSilent(response: IncomingMessage, silenceMs: number) {
  const silence = onSilence(silenceMs, () => response.destroy(silenceError(silenceMs)));
  try {
    for await (const chunk of response) {
      silence.broken();
      yield chunk;
    }
  } finally {
    silence.stop();
  }
}

export function silenceError(silenceMs: number): Error {
  return new Error(`silent for ${silenceMs / 1000} s`);
}

/** Jittered, so that many clients do not come back to a restarted worker at the same moment. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

export async function refusal(response: IncomingMessage): Promise<string> {
  const text = await readText(response);
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "error" in body) return String(body.error);
  } catch {
    // Not one of ours, a proxy perhaps.
  }
  return `answered ${response.statusCode}: ${text.slice(0, 200).trim()}`;
}

export async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) text += chunk;
  return text;
}

export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // localhost has two addresses, and Node then reports both failures as one without a message.
  if (error instanceof AggregateError) return error.errors.map(causeOf).join(", ");
  // Node's word for a response whose connection was gone before its end.
  if (error.message === "aborted") return "the connection was cut";
  return error.message;
}
