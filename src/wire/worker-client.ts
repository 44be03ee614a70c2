// The asking side of wire/worker.ts: what a boss, a CLI or a test calls to have a command run.

import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { parseSse } from "../lib/sse.js";
import { type Manifest, parseManifest } from "../source/manifest.js";
import type { ExecutionIo } from "./command-attempt.js";
import { readText, refusal, untilSilent } from "./connection.js";
import { createKeptClient, type KeptClient } from "./kept-client.js";
import { type OutgoingTree, sendTree } from "./send-tree.js";
import { GitAnswer, type GitRequest, sourceHeaders } from "./source.js";
import {
  type CommandRequest,
  type ExpectedSandbox,
  executionPath,
  type Outcome,
  WorkerInfo,
} from "./worker.js";
import { executeOn, type KnownExecution } from "./worker-call.js";
import {
  jittered,
  WorkerConnection,
  type WorkerConnectionOptions,
  WorkerError,
} from "./worker-connection.js";

export type { ExecutionIo, LeftBehind } from "./command-attempt.js";
export { nothingLeft } from "./command-attempt.js";
export type { KnownExecution } from "./worker-call.js";

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
  execute(
    request: CommandRequest,
    io: ExecutionIo,
    signal: AbortSignal,
    /** Made by the caller, where that wants to know it before the request is sent. */
    id?: string,
  ): Promise<Outcome>;
  /** As execute, of what was asked for already, perhaps by an earlier process. Never starts anything. */
  resume(execution: KnownExecution, io: ExecutionIo, signal: AbortSignal): Promise<Outcome>;
  /** One word of life about an execution; see the lease. Never rejects. */
  renew(id: string): Promise<void>;
  /** Ends an execution; resolves when nothing of it is left, or the worker does not answer. */
  end(id: string): Promise<void>;
  /** What is about to be asked for, so that the worker can make it ahead. Never rejects. */
  expect(expected: readonly ExpectedSandbox[]): Promise<void>;
  /** Rejects with words for the user. */
  info(signal?: AbortSignal): Promise<WorkerInfo>;
  /** Tells the worker's state now and at each change, reconnecting, until the signal is aborted. */
  watch(listener: (state: WorkerState) => void, signal: AbortSignal): Promise<void>;
  /** Another value than before: the worker has been started anew. */
  readonly instance: string | undefined;
  /** Resolves when the worker has the tree. */
  sendTree(tree: OutgoingTree, by: SourceBy): Promise<{ readonly bytesSent: number }>;
  /** The tree of a commit, which the worker gets by itself. */
  fetchGit(request: GitRequest, by: SourceBy): Promise<GitAnswer>;
  /** What is in a tree that the worker has. */
  readTree(hash: string, by: SourceBy): Promise<Manifest>;
  readContent(tree: string, content: string, by: SourceBy): AsyncGenerator<Uint8Array>;
  /** Sandboxes of red commands. */
  readonly kept: KeptClient;
  /** Closes idle connections. */
  close(): void;
}

export interface SourceBy {
  /** See wire/source.ts. */
  readonly key: string;
  readonly signal: AbortSignal;
}

/** A big repo may take a while, and nothing is heard meanwhile. */
const gitMs = 30 * 60_000;
const packHeadBytes = 40;

export interface WorkerClientOptions extends WorkerConnectionOptions {
  /**
   * For so long a lost connection is tried again, and for so long the worker keeps what it runs for us
   * without hearing of us. 0: a lost connection is a lost worker, which soon ends what it ran.
   */
  readonly leaseMs?: number;
}

export function createWorkerClient(
  url: string,
  { leaseMs = 0, ...options }: WorkerClientOptions = {},
): WorkerClient {
  const worker = new WorkerConnection(url, options);
  const { firstRetryMs, longestRetryMs, silenceMs } = worker;

  async function info(signal?: AbortSignal): Promise<WorkerInfo> {
    let response: IncomingMessage;
    try {
      response = await worker.open({ method: "GET", path: "info", ...(signal && { signal }) });
    } catch (error) {
      throw new Error(`${worker.unreachable(error)}. ${worker.reachHint}`, { cause: error });
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
      listener({
        status,
        info: null,
        problem: `${worker.unreachable(cause)}. ${worker.reachHint}`,
      });
      await wait(jittered(retryMs), undefined, { signal }).catch(() => {});
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  }

  /** What does no harm where it does not arrive. Never rejects. */
  async function tell(path: string, body?: object): Promise<void> {
    const { connectTimeoutMs: timeoutMs } = worker;
    const call = { method: "POST", path, timeoutMs } as const;
    await worker.open({ ...call, ...(body && { body: JSON.stringify(body) }) }).then(
      (response) => void response.resume(),
      () => {},
    );
  }

  async function asked(
    method: "GET" | "POST",
    path: string,
    { key, signal, body }: SourceBy & { readonly body?: object },
  ): Promise<IncomingMessage> {
    const response = await worker.open({
      method,
      path,
      headers: { [sourceHeaders.key]: key },
      signal,
      timeoutMs: gitMs,
      ...(body && { body: JSON.stringify(body) }),
    });
    if (response.statusCode !== 200)
      throw new WorkerError(`worker ${url}: ${await refusal(response)}`);
    return response;
  }

  return {
    url,
    execute: (request, io, signal, id = randomUUID()) =>
      executeOn(worker, leaseMs, { request, execution: { id, outputBytes: 0 }, io, signal }),
    resume: (execution, io, signal) =>
      executeOn(worker, leaseMs, { request: null, execution, io, signal }),
    renew: (id) => tell(`${executionPath(id)}/lease`),
    end: (id) => worker.forgetting.now(id),
    expect: (expected) => tell("expected", expected),
    info,
    watch,
    get instance() {
      return worker.instance;
    },
    sendTree: (tree, by) => sendTree(worker, tree, by),
    async fetchGit(request, { key, signal }) {
      const response = await asked("POST", "sources/git", { key, signal, body: request });
      return GitAnswer.parse(JSON.parse(await readText(response)));
    },
    async readTree(hash, { key, signal }) {
      const response = await asked("GET", `trees/${hash}`, { key, signal });
      const pieces: Uint8Array[] = [];
      for await (const piece of untilSilent(response, silenceMs)) pieces.push(piece);
      return parseManifest(Buffer.concat(pieces));
    },
    async *readContent(tree, content, { key, signal }) {
      const body = { contents: [content] };
      const response = await asked("POST", `trees/${tree}/read`, { key, signal, body });
      let skip = packHeadBytes;
      for await (const piece of untilSilent(response, silenceMs)) {
        if (piece.length > skip) yield piece.subarray(skip);
        skip = Math.max(0, skip - piece.length);
      }
    },
    kept: createKeptClient(worker),
    close: () => void worker.forgetting.flush().finally(() => worker.close()),
  };
}
