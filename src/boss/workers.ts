// The workers a boss knows: its own, and those that pipedefs name by URL.

import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { Bell } from "../lib/bell.js";
import type { WorkerView } from "../wire/boss.js";
import type { CommandSource } from "../wire/source.js";
import {
  type CommandRequest,
  defaultWorkerPort,
  type ExpectedSandbox,
  type Outcome,
} from "../wire/worker.js";
import {
  createWorkerClient,
  type ExecutionIo,
  type KnownExecution,
  type WorkerClient,
} from "../wire/worker-client.js";
import { causeOf, NoAnswerError, WorkerError } from "../wire/worker-connection.js";
import { Room } from "./room.js";
import { SourceTrouble } from "./run/sources.js";

interface KnownWorker {
  /** In which it became known: of two with as much room, the first is taken. */
  readonly order: number;
  readonly client: WorkerClient;
  readonly own: boolean;
  view: WorkerView;
  /** Since when it does not answer any more, or takes nothing; null: it does, or never has. */
  lostAt: number | null;
  /** Commands sent and not yet answered. */
  inFlight: number;
}

export interface WorkersOptions {
  /** The boss's own: calls that name no worker go to one of these. */
  readonly own: readonly string[];
  /** Stands in for http://localhost:9009 where nothing answers there. */
  readonly localStandIn?: string;
  /** How long a lost worker is waited for, and keeps what it runs for us. */
  readonly leaseMs: number;
  readonly credentials?: WorkerCredentials;
  /** How a worker is reached; absent: over HTTP. */
  readonly connect?: typeof createWorkerClient;
  readonly onChange: () => void;
}

/** What workers beyond this machine want to see, and how we know them. */
export interface WorkerCredentials {
  readonly tokens?: {
    /** `own`: the worker was given to the boss, not named by a pipedef. */
    tokenFor(url: string, own: boolean): string | undefined;
  };
  /** Certificates to trust. */
  readonly ca?: readonly string[];
}

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
  /** Brings the code under test to the worker that was chosen, before the command. */
  readonly source?: (worker: WorkerClient, signal: AbortSignal) => Promise<CommandSource>;
}

const firstPauseMs = 500;
const longestPauseMs = 30_000;
/**
 * A worker that is away for longer than the lease has ended what it ran for us; that is no reason to give up
 * the tasks too. A machine that restarts, or a network that is mended by hand, is waited for.
 */
const leasesUntilGivenUp = 10;

export class Workers {
  readonly #known = new Map<string, KnownWorker>();
  /** Own ones that are connected and take commands. */
  readonly #room = new Room<KnownWorker>();
  #slots = 0;
  readonly #options: WorkersOptions;
  readonly #stop = new AbortController();
  #localStandIn: string | undefined;
  readonly #changes = new Bell();

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#localStandIn = options.localStandIn && normalizeUrl(options.localStandIn);
    for (const url of options.own) this.#know(normalizeUrl(url), true);
  }

  /** One more of the boss's own, which stands in for http://localhost:9009 too. */
  bring(url: string): void {
    this.#localStandIn = normalizeUrl(url);
    this.#know(this.#localStandIn, true);
  }

  clients(): WorkerClient[] {
    return [...this.#known.values()].map(({ client }) => client);
  }

  views(): WorkerView[] {
    return [...this.#known.values()].map((worker) => worker.view);
  }

  /** How many commands all known workers take at once. */
  slots(): number {
    // Nobody has answered yet, or the pipedef names workers that no call has reached: begin somewhere.
    return this.#slots || availableParallelism();
  }

  /** Never rejects. */
  async execute(
    { worker, avoid, source }: WorkerChoice,
    asked: CommandRequest,
    io: ExecutionIo & { readonly chosen: (by: SentTo) => void },
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (worker !== null && !isWorkerUrl(worker)) {
      const hint = `A worker is an address such as http://localhost:${defaultWorkerPort}`;
      const message = `${JSON.stringify(worker)} is no worker's URL`;
      return settle(io, { kind: "faulted", message, hint });
    }
    const known = worker === null ? this.#roomiest(avoid) : await this.#named(worker);
    if (!known) {
      return settle(io, {
        kind: "faulted",
        message: "run(image, command) names no worker and this boss has none",
        hint: `Start the boss with --worker URL, or name one: run("http://host:${defaultWorkerPort}", image, command)`,
      });
    }
    let request = asked;
    if (source) {
      try {
        request = { ...asked, source: await source(known.client, signal) };
      } catch (error) {
        return settle(io, signal.aborted ? { kind: "cancelled" } : faultOfSource(known, error));
      }
    }
    const id = randomUUID();
    io.chosen({ url: known.view.url, execution: id });
    return this.#counted(known, () => known.client.execute(request, io, signal, id));
  }

  /** Tells what is about to be asked of that worker, or of all own ones together; of one not known yet nothing. */
  expect(worker: string | null, expected: readonly ExpectedSandbox[]): void {
    const takers = worker === null ? this.#ownOnes() : this.#knownAs(normalizeUrl(worker));
    const slots = (taker: KnownWorker) => taker.view.info?.slots ?? 1;
    const all = takers.reduce((sum, taker) => sum + slots(taker), 0);
    for (const taker of takers) {
      const share = slots(taker) / all;
      void taker.client.expect(
        expected.map((shape) => ({ ...shape, count: Math.ceil(shape.count * share) })),
      );
    }
  }

  #ownOnes(): KnownWorker[] {
    return [...this.#known.values()].filter(({ own }) => own);
  }

  #knownAs(url: string): KnownWorker[] {
    const standIn = isLocalDefault(url) ? this.#localStandIn : undefined;
    const known = this.#known.get(url) ?? (standIn && this.#known.get(standIn));
    return known ? [known] : [];
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
    return this.#counted(known, () => known.client.resume(execution, io, signal));
  }

  /** Keeps the worker from giving an execution up until somebody resumes it. */
  async hold(worker: LostWorker, execution: string, signal: AbortSignal): Promise<void> {
    const known = this.#former(worker);
    while (known && !signal.aborted) {
      await known.client.renew(execution);
      const everyMs = Math.max(100, this.#options.leaseMs / 4);
      await wait(everyMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Ends what was sent to that worker before this boss was started. */
  async end(worker: LostWorker, execution: string): Promise<void> {
    await this.#former(worker)?.client.end(execution);
  }

  #former({ url, any }: LostWorker): KnownWorker | undefined {
    return this.#known.get(url) ?? (any ? undefined : this.#know(url, false));
  }

  async #counted<T>(known: KnownWorker, work: () => Promise<T>): Promise<T> {
    known.inFlight += 1;
    this.#place(known);
    try {
      return await work();
    } finally {
      known.inFlight -= 1;
      this.#place(known);
    }
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
      await this.#changes.heard(AbortSignal.any([signal, timeUp]));
    }
  }

  #candidates({ url, any }: LostWorker): KnownWorker[] {
    return [...this.#known.values()].filter(
      (worker) => worker.view.url === url || (any && worker.own),
    );
  }

  #patienceMs(lostAt: number | null): number {
    if (lostAt === null) return Number.POSITIVE_INFINITY;
    return lostAt + leasesUntilGivenUp * this.#options.leaseMs - performance.now();
  }

  close(): void {
    this.#stop.abort();
    for (const { client } of this.#known.values()) client.close();
  }

  #know(url: string, own: boolean): KnownWorker {
    const found = this.#known.get(url);
    if (found) return found;
    const worker: KnownWorker = {
      order: this.#known.size,
      client: (this.#options.connect ?? createWorkerClient)(url, {
        ...connectionOptions(url, own, this.#options.credentials),
        leaseMs: this.#options.leaseMs,
      }),
      own,
      lostAt: null,
      view: { url, status: "connecting", info: null, problem: null },
      inFlight: 0,
    };
    this.#known.set(url, worker);
    void worker.client.watch((state) => {
      // What a lost one last said of itself stays: its slots are worth knowing while it restarts.
      const problem = state.info?.problem ?? state.problem;
      this.#slots -= slotsOf(worker);
      worker.view = { url, ...state, info: state.info ?? worker.view.info, problem };
      const isAway = state.status === "lost" || (state.info?.problem ?? null) !== null;
      worker.lostAt = isAway ? (worker.lostAt ?? performance.now()) : null;
      this.#slots += slotsOf(worker);
      this.#place(worker);
      this.#changes.ring();
      this.#options.onChange();
    }, this.#stop.signal);
    return worker;
  }

  #place(worker: KnownWorker): void {
    if (!worker.own) return;
    if (worker.view.status === "connected" && worker.lostAt === null)
      this.#room.set(worker, load(worker));
    else this.#room.delete(worker);
  }

  #roomiest(avoid: ReadonlySet<string>): KnownWorker | undefined {
    const roomiest = this.#room.most();
    if (roomiest && !avoid.has(roomiest.view.url)) return roomiest;
    // Rare: nobody takes anything, or the best one is to be avoided.
    const own = [...this.#known.values()].filter((worker) => worker.own);
    const connected = own.filter((worker) => worker.view.status === "connected");
    const ready = connected.filter((worker) => worker.lostAt === null);
    const others = ready.filter((worker) => !avoid.has(worker.view.url));
    const candidates = [others, ready, connected].find((list) => list.length > 0) ?? own;
    return candidates.reduce<KnownWorker | undefined>(
      (best, worker) => (best === undefined || load(worker) < load(best) ? worker : best),
      undefined,
    );
  }

  async #named(worker: string): Promise<KnownWorker> {
    const url = normalizeUrl(worker);
    const standIn = this.#localStandIn;
    if (standIn !== undefined && isLocalDefault(url) && !(await this.#answers(url))) {
      return this.#know(standIn, true);
    }
    return this.#know(url, false);
  }

  async #answers(url: string): Promise<boolean> {
    const client = createWorkerClient(
      url,
      connectionOptions(url, false, this.#options.credentials),
    );
    try {
      await client.info(AbortSignal.timeout(1000));
      return true;
    } catch {
      return false;
    } finally {
      client.close();
    }
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

function slotsOf({ view }: KnownWorker): number {
  return view.status === "connected" ? (view.info?.slots ?? 0) : 0;
}

function load({ inFlight, view }: KnownWorker): number {
  return inFlight / (view.info?.slots ?? 1);
}

async function settle(io: ExecutionIo, outcome: Outcome): Promise<Outcome> {
  await io.settled?.(outcome, null);
  return outcome;
}

function isWorkerUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}

function normalizeUrl(url: string): string {
  return url.replace(/\/+$/, "");
}

function isLocalDefault(url: string): boolean {
  return [
    `http://localhost:${defaultWorkerPort}`,
    `http://127.0.0.1:${defaultWorkerPort}`,
  ].includes(url);
}

function connectionOptions(url: string, own: boolean, credentials: WorkerCredentials = {}) {
  const { tokens, ca } = credentials;
  return { token: () => tokens?.tokenFor(url, own), ...(ca && { ca }) };
}
