// HTTP to one server: connections that are used again, limits on waiting, errors in words. Node's `fetch` would cost a
// start of the command line some 90 ms, and knows no certificates of one's own.

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { onSilence, type Silence } from "../lib/silence.js";

export interface ConnectionOptions {
  /** Asked at each request, since it may change. */
  readonly token?: () => string | undefined;
  /** Certificates to trust, where they are not the usual ones. */
  readonly ca?: readonly string[];
  readonly connectTimeoutMs?: number;
  /** A server sends a sign of life every 15 s. One that is silent for so long is lost. */
  readonly silenceMs?: number;
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

/** The request may have arrived, but no answer came. */
export class NoAnswerError extends Error {
  /** The connection was an old one, closed by the other end perhaps before the request came. */
  readonly stale: boolean;

  constructor(cause: Error, stale: boolean) {
    super(causeOf(cause), { cause });
    this.stale = stale;
  }
}

export class Connection {
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #send: typeof httpRequest;
  readonly #token: () => string | undefined;

  constructor(
    url: string,
    {
      connectTimeoutMs = 10_000,
      silenceMs = 45_000,
      token = () => undefined,
      ca,
    }: ConnectionOptions = {},
  ) {
    this.url = url;
    this.connectTimeoutMs = connectTimeoutMs;
    this.silenceMs = silenceMs;
    this.#base = new URL(url.endsWith("/") ? url : `${url}/`);
    const isHttps = this.#base.protocol === "https:";
    const kept = { keepAlive: true, keepAliveMsecs: 15_000 };
    this.#agent = isHttps
      ? new HttpsAgent({ ...kept, ...(ca && { ca: [...ca] }) })
      : new Agent(kept);
    this.#token = token;
    this.#send = isHttps ? httpsRequest : httpRequest;
  }

  /** Of a path, as it is asked for. */
  placeOf(path: string): URL {
    return new URL(path, this.#base);
  }

  open(call: Call): Promise<IncomingMessage> {
    const { method, path, body, signal, timeoutMs = this.silenceMs } = call;
    return new Promise((resolve, reject) => {
      const request = this.request({
        method,
        path,
        headers: { ...call.headers, ...(body !== undefined && headersOf(body)) },
        signal,
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

  /** Its body is still to come. */
  protected request({
    method,
    path,
    headers,
    signal,
  }: {
    readonly method: string;
    readonly path: string;
    readonly headers: Readonly<Record<string, string | number>>;
    readonly signal: AbortSignal | undefined;
  }): ClientRequest {
    const token = this.#token();
    return this.#send(this.placeOf(path), {
      method,
      headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      agent: this.#agent,
      ...(signal && { signal }),
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

export function get(path: string, signal?: AbortSignal): Call {
  return { method: "GET", path, ...(signal && { signal }) };
}

export function post(path: string, body: unknown = {}, how?: "once"): Call {
  return { method: "POST", path, body: JSON.stringify(body), once: how === "once" };
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
