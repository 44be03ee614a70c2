// How a boss reaches the sandboxes that a worker keeps. Contract: kept.ts.

import type { IncomingMessage } from "node:http";
import { type Call, causeOf, readText, refusal, untilSilent } from "./connection.js";
import {
  KeptSandbox,
  OpenedTerminal,
  type TerminalOutput,
  type TerminalRequest,
  type TerminalSize,
} from "./kept.js";
import { decodeFrames } from "./terminal-frames.js";
import { terminalOpenMs } from "./well-known.js";
import type { WorkerConnection } from "./worker-connection.js";

export interface TypedInput {
  readonly bytes: Uint8Array;
  /** Of the first byte among all that were typed. */
  readonly offset: number;
  readonly isLast: boolean;
}

/** Everything here rejects with a KeptRefusal. */
export interface KeptClient {
  get(execution: string): Promise<KeptSandbox>;
  release(execution: string): Promise<void>;
  openTerminal(execution: string, request: TerminalRequest): Promise<string>;
  /** Its last one is `end`, also where the worker is lost. */
  output(
    execution: string,
    terminal: string,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<TerminalOutput>>;
  type(execution: string, terminal: string, input: TypedInput): Promise<void>;
  resize(execution: string, terminal: string, size: TerminalSize): Promise<void>;
}

/** The worker's own words, or that it does not answer (502). */
export class KeptRefusal extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export function createKeptClient(worker: WorkerConnection): KeptClient {
  async function asked(call: Call): Promise<IncomingMessage> {
    let response: IncomingMessage;
    try {
      response = await worker.open(call);
    } catch (error) {
      throw new KeptRefusal(`${worker.unreachable(error)}. ${worker.reachHint}`, 502);
    }
    const status = response.statusCode ?? 500;
    if (status < 300) return response;
    throw new KeptRefusal(await refusal(response), status);
  }

  const told = async (call: Call) => void (await asked(call)).resume();
  const pathOf = (execution: string, terminal?: string) =>
    [`kept/${encodeURIComponent(execution)}`]
      .concat(terminal === undefined ? [] : `terminals/${encodeURIComponent(terminal)}`)
      .join("/");

  return {
    async get(execution) {
      const response = await asked({ method: "GET", path: pathOf(execution) });
      return KeptSandbox.parse(JSON.parse(await readText(response)));
    },
    release: (execution) => told({ method: "DELETE", path: pathOf(execution) }),
    async openTerminal(execution, request) {
      const response = await asked({
        method: "POST",
        path: `${pathOf(execution)}/terminals`,
        body: JSON.stringify(request),
        timeoutMs: terminalOpenMs,
        once: true,
      });
      return OpenedTerminal.parse(JSON.parse(await readText(response))).terminal;
    },
    async output(execution, terminal, signal) {
      const path = `${pathOf(execution, terminal)}/output`;
      const response = await asked({ method: "GET", path, signal, once: true });
      return untilEnd(response, worker);
    },
    type: (execution, terminal, { bytes, offset, isLast }) =>
      told({
        method: "POST",
        path: `${pathOf(execution, terminal)}/input?offset=${offset}${isLast ? "&end=1" : ""}`,
        body: bytes,
      }),
    resize: (execution, terminal, size) =>
      told({
        method: "POST",
        path: `${pathOf(execution, terminal)}/size`,
        body: JSON.stringify(size),
      }),
  };
}

async function* untilEnd(
  response: IncomingMessage,
  worker: WorkerConnection,
): AsyncGenerator<TerminalOutput> {
  try {
    yield* decodeFrames(untilSilent(response, worker.silenceMs));
  } catch (error) {
    const problem = `the connection to worker ${worker.url} was lost: ${causeOf(error)}`;
    yield { kind: "end", end: { problem } };
  }
}
