// What a boss sends to workers: to whom, what becomes of it, and whether it is worth waiting for one that is away.

import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import type { WorkerView } from "../wire/boss.js";
import { causeOf, NoAnswerError } from "../wire/connection.js";
import { defaultWorkerPort } from "../wire/well-known.js";
import type { CommandRequest, ExpectedSandbox, Outcome } from "../wire/worker.js";
import {
  type ExecutionIo,
  type KnownExecution,
  nothingLeft,
  type WorkerClient,
} from "../wire/worker-client.js";
import { WorkerError } from "../wire/worker-connection.js";
import { type KnownWorker, KnownWorkers, type WorkersOptions } from "./known-workers.js";
import { SourceTrouble } from "./run/source-trouble.js";

export interface SentTo {
  readonly url: string;
  readonly execution: string;
}

/** A worker that left a call without an outcome. */
export interface LostWorker {
  readonly url: string;
  /** The call named no worker, so that any own one will do. */
  readonly any: boolean;
  /** It refused the call or handed it back before its command began. */
  readonly refused?: boolean;
}

export interface WorkerChoice {
  /** Null: the own worker with most room. */
  readonly worker: string | null;
  /** Own workers to be chosen only where there is no other. */
  readonly avoid: ReadonlySet<string>;
  /** Brings the code under test to the worker that was chosen, before the command; gives what to ask for besides. */
  readonly bring?: (worker: WorkerClient, signal: AbortSignal) => Promise<Partial<CommandRequest>>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/**
 * A worker that is away for longer than the lease has ended what it ran for us; that is no reason to give up
 * the tasks too. A machine that restarts, or a network that is mended by hand, is waited for.
 */
const leasesUntilGivenUp = 10;

export class Workers {
  readonly #known: KnownWorkers;
  readonly #leaseMs: number;

  constructor(options: WorkersOptions) {
    this.#known = new KnownWorkers(options);
    this.#leaseMs = options.leaseMs;
  }

  /** See KnownWorkers. */
  bring(url: string): void {
    this.#known.bring(url);
  }

  clients(): WorkerClient[] {
    return this.#known.all().map(({ client }) => client);
  }

  /** Also of one that no run of this boss has reached yet. */
  clientOf(url: string): WorkerClient {
    return (this.#known.get(url) ?? this.#known.know(url, false)).client;
  }

  views(): WorkerView[] {
    return this.#known.all().map(({ view }) => view);
  }

  /** Of those that were given to the boss, not named by a pipedef. */
  ownViews(): WorkerView[] {
    return this.#known.own().map(({ view }) => view);
  }

  /** How many commands all known workers take at once. */
  slots(): number {
    return this.#known.slots();
  }

  /** Never rejects. */
  async execute(
    { worker, avoid, bring }: WorkerChoice,
    asked: CommandRequest,
    io: ExecutionIo & { readonly chosen: (by: SentTo) => void },
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (worker !== null && !isWorkerUrl(worker)) {
      const hint = `A worker is an address such as http://localhost:${defaultWorkerPort}`;
      const message = `${JSON.stringify(worker)} is no worker's URL`;
      return settle(io, { kind: "faulted", message, hint });
    }
    const known = worker === null ? this.#known.roomiest(avoid) : await this.#known.named(worker);
    if (!known) {
      return settle(io, {
        kind: "faulted",
        message: "run(image, command) names no worker and this boss has none",
        hint: `Start the boss with --worker URL, or name one: run("http://host:${defaultWorkerPort}", image, command)`,
      });
    }
    // From now on it counts there: of tasks that start together, not all are to choose the same one.
    const leave = this.#known.occupy(known);
    try {
      let request = asked;
      try {
        if (bring) request = { ...asked, ...(await bring(known.client, signal)) };
      } catch (error) {
        return settle(io, signal.aborted ? { kind: "cancelled" } : faultOfSource(known, error));
      }
      const id = randomUUID();
      io.chosen({ url: known.view.url, execution: id });
      return await known.client.execute(request, io, signal, id);
    } finally {
      leave();
    }
  }

  /** Tells what is about to be asked of that worker, or of all own ones together; of one not known yet nothing. */
  expect(worker: string | null, expected: readonly ExpectedSandbox[]): void {
    const takers = worker === null ? this.#known.own() : this.#known.find(worker);
    const slots = (taker: KnownWorker) => taker.view.info?.slots ?? 1;
    const all = takers.reduce((sum, taker) => sum + slots(taker), 0);
    for (const taker of takers) {
      const share = slots(taker) / all;
      void taker.client.expect(
        expected.map((shape) => ({ ...shape, count: Math.ceil(shape.count * share) })),
      );
    }
  }

  /** Takes up again what was sent to that worker before this boss was started. Never rejects. */
  async resume(
    { url, any }: LostWorker,
    execution: KnownExecution,
    io: ExecutionIo,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const known = this.#former({ url, any });
    if (!known) {
      const message = `worker ${url} is none of this boss's any more`;
      return settle(io, { kind: "faulted", message, workerLost: true });
    }
    const leave = this.#known.occupy(known);
    try {
      return await known.client.resume(execution, io, signal);
    } finally {
      leave();
    }
  }

  /** Keeps the worker from giving an execution up until somebody resumes it. */
  async hold(worker: LostWorker, execution: string, signal: AbortSignal): Promise<void> {
    const known = this.#former(worker);
    while (known && !signal.aborted) {
      await known.client.renew(execution);
      const everyMs = Math.max(100, this.#leaseMs / 4);
      await wait(everyMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Ends what was sent to that worker before this boss was started. */
  async end(worker: LostWorker, execution: string): Promise<void> {
    await this.#former(worker)?.client.end(execution);
  }

  #former({ url, any }: LostWorker): KnownWorker | undefined {
    return this.#known.get(url) ?? (any ? undefined : this.#known.know(url, false));
  }

  /** False: there is nobody to try again on, since it has been away for much longer than the lease. */
  mayReturn(lost: LostWorker): boolean {
    return this.#candidates(lost).some(({ lostAt }) => this.#patienceMs(lostAt) > 0);
  }

  /** Waits a little, longer after each try; then for the worker, or one like it, as long as it may return. */
  async returned(lost: LostWorker, tries: number, signal: AbortSignal): Promise<void> {
    const doubled = Math.min(longestPauseMs, firstPauseMs * 2 ** (tries - 1));
    const pauseMs = doubled * (0.5 + Math.random() / 2);
    await wait(pauseMs, undefined, { signal }).catch(() => {});
    const isThere = () => this.#candidates(lost).some(({ lostAt }) => lostAt === null);
    while (!signal.aborted && !isThere() && this.mayReturn(lost)) {
      const patienceMs = this.#candidates(lost).map(({ lostAt }) => this.#patienceMs(lostAt));
      const timeUp = AbortSignal.timeout(Math.ceil(Math.max(...patienceMs)));
      await this.#known.changes.heard(AbortSignal.any([signal, timeUp]));
    }
  }

  #candidates({ url, any }: LostWorker): KnownWorker[] {
    return this.#known.all().filter((worker) => worker.view.url === url || (any && worker.own));
  }

  #patienceMs(lostAt: number | null): number {
    if (lostAt === null) return Number.POSITIVE_INFINITY;
    return lostAt + leasesUntilGivenUp * this.#leaseMs - performance.now();
  }

  close(): void {
    this.#known.close();
  }
}

function faultOfSource({ view }: KnownWorker, error: unknown): Outcome {
  if (error instanceof SourceTrouble) {
    return { kind: "faulted", message: error.message, hint: error.hint };
  }
  if (error instanceof WorkerError && !error.isAway)
    return { kind: "faulted", message: error.message };
  const isNetwork =
    error instanceof NoAnswerError || (error instanceof Error && "syscall" in error);
  const message = `the source did not reach worker ${view.url}: ${causeOf(error)}`;
  const isLost = (error instanceof WorkerError && error.isAway) || isNetwork;
  return { kind: "faulted", message, ...(isLost && { workerLost: true }) };
}

async function settle(io: ExecutionIo, outcome: Outcome): Promise<Outcome> {
  await io.settled?.(outcome, nothingLeft);
  return outcome;
}

function isWorkerUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}
