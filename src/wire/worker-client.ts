// The asking side of wire/worker.ts: what a boss, a CLI or a test calls to have a command run.

import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import { parseSse } from "../lib/sse.js";
import { Turns } from "../lib/turns.js";
import { type CommandRequest, ExecutionEvent, type Outcome, WorkerInfo } from "./worker.js";

export interface ExecutionIo {
  /** Gets every byte of output once, in order. A promise means: no more until it resolves. */
  output(bytes: Uint8Array): Promise<void> | undefined;
  /** Waits for a slot of the worker, with so many ahead. */
  queued?(ahead: number): void;
  started(sandbox: string): void;
}

export type WorkerState =
  | { readonly status: "connected"; readonly info: WorkerInfo; readonly problem: null }
  /** "lost": it answered before, and does not now. */
  | { readonly status: "connecting" | "lost"; readonly info: null; readonly problem: string };

export interface WorkerClient {
  readonly url: string;
  /**
   * Never rejects: what went wrong on the way is a `faulted` outcome. Resolves after `output` has taken
   * the last byte. Aborting ends the sandbox; the outcome is then `cancelled`.
   */
  execute(request: CommandRequest, io: ExecutionIo, signal: AbortSignal): Promise<Outcome>;
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

interface OutputCopy {
  /** So many there will be. While the command ran its events were the sign of life; now the output is. */
  expect(bytes: number): void;
  /** Resolves after the last byte has been taken. */
  complete(): Promise<void>;
}

const openOutputAfterMs = 250;

interface Call {
  readonly method: "GET" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Until the answer begins. */
  readonly timeoutMs?: number;
}

/** Whoever asked could not take the output. */
class TakerError extends Error {}

/** The worker was reached, and said or did something else than it should. */
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
  // A worker answers at once, also those who then wait for a slot. Thousands of connections at the same
  // moment would only overflow its system's queue for new ones.
  const asking = new Turns(64);
  const reachHint = `Is it running? Try: curl ${new URL("health", base)}`;

  function open(call: Call): Promise<IncomingMessage> {
    const { method, path, body, signal, timeoutMs = silenceMs } = call;
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : jsonHeaders(body);
      const request = send(new URL(path, base), {
        method,
        headers,
        agent,
        ...(signal && { signal }),
      });
      limitWaiting(request, connectTimeoutMs, timeoutMs);
      request.once("response", resolve);
      request.on("error", (error) => {
        // The worker closed an idle connection just when it was used again. Every call may be repeated.
        const isStale = request.reusedSocket && "code" in error && error.code === "ECONNRESET";
        if (isStale && !signal?.aborted) open(call).then(resolve, reject);
        else reject(error);
      });
      request.end(body);
    });
  }

  function unreachable(error: unknown): string {
    return `worker ${url} did not answer (${causeOf(error)})`;
  }

  async function execute(
    request: CommandRequest,
    io: ExecutionIo,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (signal.aborted) return { kind: "cancelled" };
    const path = `executions/${randomUUID()}`;
    const connection = new AbortController();
    const forget = () =>
      open({ method: "DELETE", path, timeoutMs: connectTimeoutMs }).then(
        (response) => void response.resume(),
        () => {},
      );
    const cancelled = new Promise<Outcome>((resolve) => {
      const cancel = async () => {
        // The answer comes when the sandbox is gone.
        await forget();
        resolve({ kind: "cancelled" });
      };
      signal.addEventListener("abort", cancel, { once: true, signal: connection.signal });
    });

    // One signal may stand for a whole run with hundreds of commands; that is no leak.
    setMaxListeners(0, signal);

    let fail: (error: unknown) => void = () => {};
    const refused = new Promise<never>((_, reject) => {
      fail = reject;
    });

    let reached = false;
    const attempt = async (): Promise<Outcome> => {
      const body = JSON.stringify(request);
      const endTurn = await asking.take();
      const events = await open({ method: "PUT", path, body, signal: connection.signal }).finally(
        endTurn,
      );
      reached = true;
      if (events.statusCode !== 200) throw new WorkerError(await refusal(events));
      let output: OutputCopy | null = null;
      const openOutput = () => {
        output ??= copyOutput(path, io, { signal: connection.signal, refused: fail });
        return output;
      };
      // Not yet, since thousands may wait for a slot, and need no second connection for that. Silence
      // means that its sandbox is being made; and if an image is pulled for it, the output says so.
      const silence = setTimeout(openOutput, openOutputAfterMs);
      let outcome: Outcome | null = null;
      // Read to the end, so that the connection can serve the next command.
      for await (const { data } of parseSse(untilSilent(events, silenceMs))) {
        const event = ExecutionEvent.parse(JSON.parse(data));
        clearTimeout(silence);
        if (event.type !== "queued" || event.ahead === 0) openOutput();
        if (event.type === "queued") io.queued?.(event.ahead);
        else if (event.type === "started") io.started(event.sandbox);
        else {
          outcome = event.outcome;
          openOutput().expect(event.outputBytes);
        }
      }
      if (!outcome) throw new WorkerError("closed the connection before the command ended");
      await openOutput().complete();
      if (!signal.aborted) void forget();
      return outcome;
    };
    const failed = (error: unknown): Outcome => {
      if (error instanceof TakerError) {
        void forget();
        return { kind: "faulted", message: error.message };
      }
      if (!reached) return { kind: "faulted", message: unreachable(error), hint: reachHint };
      const message =
        error instanceof WorkerError
          ? `worker ${url} ${error.message}`
          : `worker ${url} was lost while it ran the command (${causeOf(error)})`;
      return { kind: "faulted", message };
    };
    const outcome = await Promise.race([attempt(), refused, cancelled]).catch(failed);
    // Once aborted, what else happened is no news: the sandbox is to be gone, and that is worth the wait.
    if (signal.aborted) await cancelled;
    connection.abort();
    if (signal.aborted) return { kind: "cancelled" };
    return outcome;
  }

  /** Hands the output over as it comes. */
  function copyOutput(
    path: string,
    io: ExecutionIo,
    { signal, refused }: { signal: AbortSignal; refused: (error: TakerError) => void },
  ): OutputCopy {
    let received = 0;
    let expected: number | null = null;
    let response: IncomingMessage | null = null;
    let silence: NodeJS.Timeout | undefined;
    let isOver = false;

    const watchSilence = () => {
      clearTimeout(silence);
      if (isOver || expected === null || response?.isPaused()) return;
      silence = setTimeout(() => response?.destroy(silenceError(silenceMs)), silenceMs);
    };
    const copy = async () => {
      const opened = await open({ method: "GET", path: `${path}/output`, signal });
      response = opened;
      if (opened.statusCode !== 200) throw new WorkerError(await refusal(opened));
      let taking: Promise<void> | undefined;
      await new Promise<void>((resolve, reject) => {
        const refuse = (error: unknown) => {
          opened.destroy();
          refused(new TakerError(`the output could not be kept: ${causeOf(error)}`));
        };
        opened.on("data", (chunk: Buffer) => {
          received += chunk.length;
          try {
            taking = io.output(chunk);
          } catch (error) {
            return refuse(error);
          }
          if (taking) {
            opened.pause();
            taking.then(() => {
              opened.resume();
              watchSilence();
            }, refuse);
          }
          if (expected !== null) watchSilence();
        });
        opened.on("end", resolve);
        opened.on("error", reject);
        opened.on("close", () => reject(new Error("the output was cut off")));
      });
      await taking;
    };
    const copied = copy().finally(() => {
      isOver = true;
      clearTimeout(silence);
    });
    // Asked for only after `finished`; a broken connection breaks the events as well.
    copied.catch(() => {});
    return {
      expect(bytes: number) {
        expected = bytes;
        watchSilence();
      },
      async complete() {
        await copied;
        if (received === expected) return;
        throw new WorkerError(`sent ${received} bytes of output, and said they were ${expected}`);
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
    let status: "connecting" | "lost" = "connecting";
    while (!signal.aborted) {
      let cause: unknown = new Error("the connection was closed");
      try {
        const response = await open({ method: "GET", path: "events", signal });
        if (response.statusCode !== 200) throw new Error(await refusal(response));
        for await (const { data } of parseSse(untilSilent(response, silenceMs))) {
          retryMs = firstRetryMs;
          status = "lost";
          listener({
            status: "connected",
            info: WorkerInfo.parse(JSON.parse(data)),
            problem: null,
          });
        }
      } catch (error) {
        cause = error;
      }
      if (signal.aborted) return;
      listener({ status, info: null, problem: `${unreachable(cause)}. ${reachHint}` });
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
async function* untilSilent(response: IncomingMessage, silenceMs: number) {
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

function silenceError(silenceMs: number): Error {
  return new Error(`silent for ${silenceMs / 1000} s`);
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
