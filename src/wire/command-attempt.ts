// What came of one command on one worker, through lost connections.
//
//   starting ──answer──► following ──finished, last byte──► outcome
//      │                  ▲      │
//      │ sent, no answer  │      │ connection lost
//      └────────────► resuming ◄─┘
//                         │ lease over, or the worker does not know the execution
//                         └────► faulted: lost
//
// Only a request that starts may start: once one may have arrived, all others merely attach. So a worker
// that has been started anew never runs the command a second time within one call.

import { setTimeout as wait } from "node:timers/promises";
import { within } from "../lib/or-else.js";
import { parseSse } from "../lib/sse.js";
import { causeOf, NoAnswerError, refusal, untilSilent } from "./connection.js";
import type { ServiceEnd } from "./service.js";
import { decodeOutput, outputMessages } from "./told-output.js";
import {
  type CollectedFiles,
  type CommandRequest,
  ExecutionEvent,
  type KeptNote,
  type Outcome,
  workerHeaders,
} from "./worker.js";
import {
  jittered,
  WorkerBusyError,
  type WorkerConnection,
  WorkerError,
} from "./worker-connection.js";
import {
  OutputCopy,
  type OutputTaker,
  TakerError,
  UnknownExecutionError,
} from "./worker-output.js";

export interface ExecutionIo {
  readonly output: OutputTaker;
  /** The pack of files that the request asked for (see file-pack.ts), after all of the output. */
  readonly files?: OutputTaker;
  /** What a service of it prints, from its first byte on. */
  readonly service?: (name: string) => OutputTaker;
  /** Waits for a slot of the worker, with so many ahead. */
  queued?(ahead: number): void;
  started(sandbox: string): void;
  /** Its outcome, after all of its output: the worker keeps both until this is done. */
  settled?(outcome: Outcome, left: LeftBehind): Promise<void> | void;
}

/** What the worker has said of it at its end. */
export interface LeftBehind {
  readonly files: CollectedFiles | null;
  readonly services: Readonly<Record<string, ServiceEnd>>;
  /** Of its sandbox, where that was to be kept. */
  readonly kept: KeptNote | null;
}

export const nothingLeft: LeftBehind = { files: null, services: {}, kept: null };

export interface AttemptOptions {
  readonly request: CommandRequest | null;
  readonly outputBytes: number;
  /** Names of its services. */
  readonly services: readonly string[];
  readonly io: ExecutionIo;
  readonly path: string;
  readonly leaseMs: number;
}

const openOutputAfterMs = 250;
/** One for all: most commands end by it, nobody reads it, and to make one takes the stack. */
const overNow = new Error("nobody waits for the command any more");
const awayNow = { workerLost: true, notStarted: true } as const;

export class CommandAttempt {
  readonly #worker: WorkerConnection;
  readonly #options: AttemptOptions;
  readonly #output: OutputCopy;
  readonly #pack: OutputCopy;
  readonly #services = new Map<string, OutputCopy>();
  #left = nothingLeft;
  #isTaken = false;
  /** From the answer of an earlier request; absent: this is the first to that worker. */
  readonly #instance: string | undefined;
  #mayStart: boolean;
  #isCancelled = false;
  #isOver = false;
  /** Of the connection that there is, or of the pause before the next one. */
  #current: AbortController | null = null;
  /** While a request that starts is on its way: until its answer. */
  #starting: Promise<unknown> | null = null;
  #reached = false;
  #heardAt = performance.now();
  #events = 0;
  #outcome: Outcome | null = null;

  constructor(worker: WorkerConnection, options: AttemptOptions) {
    this.#worker = worker;
    this.#options = options;
    this.#mayStart = options.request !== null;
    this.#instance = options.request ? worker.instance : undefined;
    this.#output = new OutputCopy(worker, {
      path: `${options.path}/output`,
      received: options.outputBytes,
      take: options.io.output,
      heard: () => this.#heard(),
    });
    this.#pack = new OutputCopy(worker, {
      path: `${options.path}/files`,
      received: 0,
      take: options.io.files ?? (() => undefined),
      heard: () => this.#heard(),
    });
    for (const name of options.io.service ? options.services : []) {
      const copy = new OutputCopy(worker, {
        path: `${options.path}/services/${name}/output`,
        received: 0,
        take: options.io.service!(name),
        heard: () => this.#heard(),
      });
      this.#services.set(name, copy);
    }
  }

  /** Nothing, unless all of it has been taken. */
  get left(): LeftBehind {
    return this.#isTaken ? this.#left : nothingLeft;
  }

  /** Resolves when no request to start is on its way any more, or has not been answered for so long. */
  async startNoMore(patienceMs: number): Promise<void> {
    this.#isCancelled = true;
    if (this.#starting) await within(patienceMs, this.#starting, () => {});
  }

  /** Nobody waits for the outcome any more. */
  leave(): void {
    this.#isOver = true;
    this.#current?.abort(overNow);
  }

  /** Whether the worker may still hold something of this execution. */
  get mayBeKept(): boolean {
    return !this.#mayStart;
  }

  /** Never rejects. */
  async outcome(): Promise<Outcome> {
    let retryMs = this.#worker.firstRetryMs;
    for (;;) {
      const heardAt = this.#heardAt;
      try {
        return await this.#follow();
      } catch (error) {
        if (this.#heardAt !== heardAt) retryMs = this.#worker.firstRetryMs;
        const pauseMs = this.#pauseBeforeRetry(error, retryMs);
        if (pauseMs === null) return this.#fault(error);
        if (pauseMs > 0) {
          const pause = new AbortController();
          this.#current = pause;
          await wait(pauseMs, undefined, { signal: pause.signal }).catch(() => {});
          retryMs = Math.min(retryMs * 2, this.#worker.longestRetryMs);
        }
        if (this.#isOver) return this.#fault(error);
      }
    }
  }

  /** Null: there is no hope. */
  #pauseBeforeRetry(error: unknown, retryMs: number): number | null {
    if (this.#isOver || error instanceof TakerError || error instanceof WorkerError) return null;
    if (error instanceof WorkerBusyError) return jittered(this.#worker.longestRetryMs);
    if (error instanceof UnknownExecutionError) {
      // The same worker as before the request: then that never arrived, and starting is the first start.
      const neverArrived =
        !this.#reached && this.#instance !== undefined && this.#instance === this.#worker.instance;
      this.#mayStart ||= neverArrived;
      return neverArrived ? 0 : null;
    }
    // Not even connected.
    if (this.#mayStart) return null;
    if (error instanceof NoAnswerError && error.stale) return 0;
    const leftMs = this.#options.leaseMs - (performance.now() - this.#heardAt);
    return leftMs > 0 ? Math.min(jittered(retryMs), leftMs) : null;
  }

  #fault(error: unknown): Outcome {
    const { url, reachHint } = this.#worker;
    if (error instanceof TakerError) return { kind: "faulted", message: error.message };
    if (error instanceof WorkerError) {
      const message = `worker ${url} ${error.message}`;
      return { kind: "faulted", message, ...(error.isAway && awayNow) };
    }
    if (!this.#reached && !(error instanceof UnknownExecutionError)) {
      const message = this.#worker.unreachable(error);
      return { kind: "faulted", message, hint: reachHint, workerLost: true };
    }
    const message = `worker ${url} was lost: ${causeOf(error)}`;
    return { kind: "faulted", message, workerLost: true };
  }

  /** Over one connection; rejects when that is lost. */
  async #follow(): Promise<Outcome> {
    const connection = new AbortController();
    this.#current = connection;
    const { signal } = connection;
    let broken: (error: unknown) => void = () => {};
    const lost = new Promise<never>((_, reject) => {
      broken = reject;
    });
    const copies = [this.#output, ...this.#services.values()];
    const copy = async (which: readonly OutputCopy[] = copies) => {
      const copied = Promise.all(which.map((one) => one.run(signal)));
      copied.catch(broken);
      await copied;
    };
    try {
      const followed = async () => {
        if (!this.#outcome) await this.#followEvents(signal, { copy, broken });
        else void this.#keepLease(performance.now(), signal, broken);
        await copy();
        for (const one of copies) one.checkLength();
        if (this.#options.io.files && (this.#left.files?.bytes ?? 0) > 0) {
          await this.#pack.run(signal);
          this.#pack.checkLength();
        }
        this.#isTaken = true;
        return this.#outcome!;
      };
      return await Promise.race([followed(), lost]);
    } finally {
      connection.abort(overNow);
    }
  }

  /** Until `finished`. */
  async #followEvents(
    signal: AbortSignal,
    {
      copy,
      broken,
    }: {
      copy: (which?: readonly OutputCopy[]) => Promise<void>;
      broken: (error: unknown) => void;
    },
  ): Promise<void> {
    const { io } = this.#options;
    const attachedAt = performance.now();
    const response = await this.#attach(signal);
    this.#reached = true;
    this.#heard();
    void this.#keepLease(attachedAt, signal, broken);
    const fetchOutput = (which: readonly OutputCopy[]) => void copy(which).catch(() => {});
    // An older worker tells all of it, however little, only where it is asked to.
    let isLittle = response.headers[workerHeaders.output] !== undefined;
    const toFetch = () => [...(isLittle ? [] : [this.#output]), ...this.#services.values()];
    // Not yet, since thousands may wait for a slot, and need no second connection for that. Silence
    // means that its sandbox is being made; and if an image is pulled for it, the output says so.
    const silence = setTimeout(() => fetchOutput(toFetch()), openOutputAfterMs);
    try {
      // Read to the end, so that the connection can serve the next command.
      const messages = parseSse(untilSilent(response, this.#worker.silenceMs));
      for await (const { event: name, data } of messages) {
        this.#heard();
        if (name === outputMessages.some) {
          this.#output.give(decodeOutput(data)).catch(broken);
          continue;
        }
        if (name === outputMessages.more) {
          isLittle = false;
          fetchOutput([this.#output]);
          continue;
        }
        const event = ExecutionEvent.parse(JSON.parse(data));
        this.#events += 1;
        clearTimeout(silence);
        if (event.type !== "queued" || event.ahead === 0) fetchOutput(toFetch());
        if (event.type === "queued") io.queued?.(event.ahead);
        else if (event.type === "started") io.started(event.sandbox);
        else {
          this.#outcome = event.outcome;
          const { files = null, services = {} } = event;
          this.#left = { files, services, kept: event.kept ?? null };
          this.#output.expect(event.outputBytes);
          this.#pack.expect(files?.bytes ?? 0);
          for (const [name, one] of this.#services) one.expect(services[name]?.outputBytes ?? 0);
        }
      }
    } finally {
      clearTimeout(silence);
    }
    if (!this.#outcome) throw new Error("it closed the connection before the command ended");
  }

  async #attach(signal: AbortSignal) {
    const { path, request, leaseMs } = this.#options;
    const starts = this.#mayStart;
    const endTurn = await this.#worker.turns.take();
    if (starts && this.#isCancelled) {
      endTurn();
      throw new Error("it was cancelled before it was sent");
    }
    const open = this.#worker.open({
      method: "PUT",
      path,
      ...(starts && { body: JSON.stringify(request) }),
      headers: {
        ...(leaseMs > 0 && { [workerHeaders.lease]: String(leaseMs) }),
        ...(this.#events > 0 && { "last-event-id": String(this.#events) }),
        ...(!starts && { [workerHeaders.resume]: "1" }),
        [workerHeaders.output]: String(this.#output.received),
      },
      once: starts,
      signal,
    });
    if (starts) this.#starting = open.catch(() => {});
    const response = await open
      .catch((error) => {
        if (error instanceof NoAnswerError) this.#mayStart = false;
        throw error;
      })
      .finally(endTurn);
    this.#mayStart = false;
    if (response.statusCode === 200) return response;
    const words = await refusal(response);
    // Refused, so nothing has been started.
    if (starts) this.#mayStart = true;
    if (response.statusCode === 429) throw new WorkerBusyError(words);
    if (starts) {
      throw new WorkerError(words, response.statusCode! >= 500);
    }
    if (response.statusCode === 404) throw new UnknownExecutionError();
    // Also 401: the token may have been replaced while the command runs, and the new one be on its way to us.
    if (response.statusCode! >= 500 || response.statusCode === 401) throw new Error(`it ${words}`);
    throw new WorkerError(words);
  }

  /** Tells the worker that we live, also when nothing else is to be said; and learns that it does not. */
  async #keepLease(
    since: number,
    signal: AbortSignal,
    broken: (error: unknown) => void,
  ): Promise<void> {
    const { leaseMs, path } = this.#options;
    if (leaseMs === 0) return;
    const everyMs = leaseMs / 4;
    // The worker counts from the request on, also where the answer was read late since this process stood still.
    let waitMs = everyMs - (performance.now() - since);
    try {
      for (;;) {
        if (waitMs > 0) await wait(waitMs, undefined, { signal });
        waitMs = everyMs;
        const call = { method: "POST", path: `${path}/lease`, signal, timeoutMs: everyMs } as const;
        const response = await this.#worker.open(call);
        response.resume();
        if (response.statusCode === 404) throw new UnknownExecutionError();
        if (response.statusCode !== 204) throw new Error(`it answered ${response.statusCode}`);
        this.#heard();
      }
    } catch (error) {
      broken(error);
    }
  }

  #heard() {
    this.#heardAt = performance.now();
  }
}
