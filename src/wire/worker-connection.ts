// HTTP to one worker, as to any server, and what is a worker's own.

import type { ClientRequest, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { onSilence } from "../lib/silence.js";
import { Turns } from "../lib/turns.js";
import { Connection, type ConnectionOptions, causeOf, silenceError } from "./connection.js";
import { Forgetting } from "./forgetting.js";
import { isLoopback } from "./loopback-guard.js";
import { workerHeaders } from "./worker.js";

export interface WorkerConnectionOptions extends ConnectionOptions {
  readonly firstRetryMs?: number;
  readonly longestRetryMs?: number;
}

export interface Upload {
  readonly method: "PUT" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
  readonly signal: AbortSignal;
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

export class WorkerConnection extends Connection {
  readonly reachHint: string;
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  // A worker answers at once, also those who then wait for a slot. Thousands of connections at the same
  // moment would only overflow its system's queue for new ones.
  readonly turns = new Turns(64);
  readonly forgetting = new Forgetting(this);
  #instance: string | undefined;

  constructor(
    url: string,
    { firstRetryMs = 100, longestRetryMs = 5_000, ...options }: WorkerConnectionOptions,
  ) {
    super(url, options);
    this.firstRetryMs = firstRetryMs;
    this.longestRetryMs = longestRetryMs;
    this.reachHint = `Is it running? Try: curl ${this.placeOf("health")}`;
  }

  /** What the worker's last answer said of who it is. */
  get instance(): string | undefined {
    return this.#instance;
  }

  protected override request(call: Parameters<Connection["request"]>[0]): ClientRequest {
    const request = super.request(call);
    request.once("response", ({ headers }) => {
      const instance = headers[workerHeaders.instance];
      if (typeof instance === "string") this.#instance = instance;
    });
    return request;
  }

  /** On this machine, as far as its name tells. */
  get isLoopback(): boolean {
    return isLoopback(this.placeOf("").hostname.replace(/^\[|\]$/g, ""));
  }

  /** A long body, for as long as it makes its way; a worker that takes nothing more for a while is lost. */
  upload({ body, ...call }: Upload): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.request(call);
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
}

/** Jittered, so that many clients do not come back to a restarted worker at the same moment. */
export function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
