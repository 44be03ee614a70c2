// HTTP to a worker, below wire/worker-client.ts: connections that are reused, and waits that end.

import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

export interface Call {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Until the answer begins. */
  readonly timeoutMs?: number;
}

export interface WorkerConnection {
  /** Resolves with the beginning of the answer, whatever its status. */
  open(call: Call): Promise<IncomingMessage>;
  urlOf(path: string): URL;
  close(): void;
}

/** The worker was reached, and said or did something else than it should. */
export class WorkerError extends Error {}

export function connectToWorker(
  url: string,
  { connectTimeoutMs, silenceMs }: { connectTimeoutMs: number; silenceMs: number },
): WorkerConnection {
  const base = new URL(url.endsWith("/") ? url : `${url}/`);
  const isHttps = base.protocol === "https:";
  const agent = new (isHttps ? HttpsAgent : Agent)({ keepAlive: true, keepAliveMsecs: 15_000 });
  const send = isHttps ? httpsRequest : httpRequest;
  const urlOf = (path: string) => new URL(path, base);

  function open(call: Call): Promise<IncomingMessage> {
    const { method, path, body, signal, timeoutMs = silenceMs } = call;
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : jsonHeaders(body);
      const request = send(urlOf(path), {
        method,
        headers,
        agent,
        ...(signal && { signal }),
      });
      limitWaiting(request, connectTimeoutMs, timeoutMs);
      request.once("response", resolve);
      request.on("error", (error) => {
        // The worker closed an idle connection just when it was used again. Every call may be repeated.
        const isStale =
          request.reusedSocket &&
          "code" in error &&
          ["ECONNRESET", "EPIPE"].includes(String(error.code));
        if (isStale && !signal?.aborted) open(call).then(resolve, reject);
        else reject(error);
      });
      request.end(body);
    });
  }

  return { open, urlOf, close: () => agent.destroy() };
}

function jsonHeaders(body: string) {
  return { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
}

function limitWaiting(request: ClientRequest, connectMs: number, answerMs: number) {
  let timer: NodeJS.Timeout | undefined;
  const wait = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => request.destroy(new Error(`no answer within ${ms / 1000} s`)), ms);
  };
  const waitForAnswer = () => {
    if (!request.destroyed) wait(answerMs);
  };
  wait(connectMs);
  request.once("socket", (socket) => {
    if (socket.connecting) socket.once("connect", waitForAnswer);
    else waitForAnswer();
  });
  request.once("response", () => clearTimeout(timer));
  request.once("close", () => clearTimeout(timer));
}

/** Fails when nothing arrives for so long: the other end is then gone without having said so. */
export async function* untilSilent(response: IncomingMessage, silenceMs: number) {
  const timer = setTimeout(() => response.destroy(silenceError(silenceMs)), silenceMs);
  try {
    for await (const chunk of response) {
      timer.refresh();
      yield chunk;
    }
  } finally {
    clearTimeout(timer);
  }
}

export function silenceError(silenceMs: number): Error {
  return new Error(`silent for ${silenceMs / 1000} s`);
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
  return error.message;
}
