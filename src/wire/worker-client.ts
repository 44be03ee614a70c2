// The asking side of wire/worker.ts: what a boss, a CLI or a test calls to have a command run.

import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { IncomingMessage } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { parseSse } from "../lib/sse.js";
import { Turns } from "../lib/turns.js";
import { type CommandRequest, ExecutionEvent, type Outcome, WorkerInfo } from "./worker.js";
import {
  causeOf,
  connectToWorker,
  readText,
  refusal,
  untilSilent,
  WorkerError,
} from "./worker-connection.js";
import { copyOutput, type OutputCopy, TakerError } from "./worker-output.js";

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

const openOutputAfterMs = 250;

export function createWorkerClient(url: string, options: WorkerClientOptions = {}): WorkerClient {
  const {
    connectTimeoutMs = 10_000,
    silenceMs = 45_000,
    firstRetryMs = 100,
    longestRetryMs = 5_000,
  } = options;
  const worker = connectToWorker(url, { connectTimeoutMs, silenceMs });
  // A worker answers at once, also those who then wait for a slot. Thousands of connections at the same
  // moment would only overflow its system's queue for new ones.
  const asking = new Turns(64);
  const reachHint = `Is it running? Try: curl ${worker.urlOf("health")}`;

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
      worker.open({ method: "DELETE", path, timeoutMs: connectTimeoutMs }).then(
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

    let fail: (error: TakerError) => void = () => {};
    const refused = new Promise<never>((_, reject) => {
      fail = reject;
    });

    let reached = false;
    const attempt = async (): Promise<Outcome> => {
      const body = JSON.stringify(request);
      const endTurn = await asking.take();
      const events = await worker
        .open({ method: "PUT", path, body, signal: connection.signal })
        .finally(endTurn);
      reached = true;
      if (events.statusCode !== 200) throw new WorkerError(await refusal(events));
      let output: OutputCopy | null = null;
      const openOutput = () => {
        output ??= copyOutput(worker, path, {
          take: (bytes) => io.output(bytes),
          refused: fail,
          signal: connection.signal,
          silenceMs,
        });
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

  async function info(signal?: AbortSignal): Promise<WorkerInfo> {
    let response: IncomingMessage;
    try {
      response = await worker.open({ method: "GET", path: "info", ...(signal && { signal }) });
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
        const response = await worker.open({ method: "GET", path: "events", signal });
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

  return { url, execute, info, watch, close: worker.close };
}
