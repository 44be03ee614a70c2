// Which workers a boss knows, its own and those that pipedefs name by URL; how they are, and who has room.

import { availableParallelism } from "node:os";
import { Bell } from "../lib/bell.js";
import type { WorkerView } from "../wire/boss.js";
import { defaultWorkerPort } from "../wire/well-known.js";
import { createWorkerClient, type WorkerClient } from "../wire/worker-client.js";
import { Room } from "./room.js";

export interface KnownWorker {
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

/** What workers beyond this machine want to see, and how we know them. */
export interface WorkerCredentials {
  readonly tokens?: {
    /** `own`: the worker was given to the boss, not named by a pipedef. */
    tokenFor(url: string, own: boolean): string | undefined;
  };
  /** Certificates to trust. */
  readonly ca?: readonly string[];
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

export class KnownWorkers {
  /** Rings when one of them has changed. */
  readonly changes = new Bell();
  readonly #known = new Map<string, KnownWorker>();
  /** Own ones that are connected and take commands. */
  readonly #room = new Room<KnownWorker>();
  readonly #options: WorkersOptions;
  readonly #stop = new AbortController();
  #slots = 0;
  #localStandIn: string | undefined;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#localStandIn = options.localStandIn && normalizeUrl(options.localStandIn);
    for (const url of options.own) this.know(normalizeUrl(url), true);
  }

  /** One more of the boss's own, which stands in for http://localhost:9009 too. */
  bring(url: string): void {
    this.#localStandIn = normalizeUrl(url);
    this.know(this.#localStandIn, true);
  }

  all(): KnownWorker[] {
    return [...this.#known.values()];
  }

  own(): KnownWorker[] {
    return this.all().filter(({ own }) => own);
  }

  get(url: string): KnownWorker | undefined {
    return this.#known.get(url);
  }

  /** The one that a pipedef means by that name; none where nobody has asked it for anything yet. */
  find(name: string): KnownWorker[] {
    const url = normalizeUrl(name);
    const standIn = isLocalDefault(url) ? this.#localStandIn : undefined;
    const found = this.#known.get(url) ?? (standIn && this.#known.get(standIn));
    return found ? [found] : [];
  }

  /** How many commands all of them take at once. */
  slots(): number {
    // Nobody has answered yet, or the pipedef names workers that no call has reached: begin somewhere.
    return this.#slots || availableParallelism();
  }

  know(url: string, own: boolean): KnownWorker {
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
      this.changes.ring();
      this.#options.onChange();
    }, this.#stop.signal);
    return worker;
  }

  /** Makes it known, where it is not; or the stand-in, where nothing answers at the address of this machine's worker. */
  async named(name: string): Promise<KnownWorker> {
    const url = normalizeUrl(name);
    const standIn = this.#localStandIn;
    if (standIn !== undefined && isLocalDefault(url) && !(await this.#answers(url))) {
      return this.know(standIn, true);
    }
    return this.know(url, false);
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

  /** Of the own ones; one of those to avoid only where there is no other. */
  roomiest(avoid: ReadonlySet<string>): KnownWorker | undefined {
    const roomiest = this.#room.most();
    if (roomiest && !avoid.has(roomiest.view.url)) return roomiest;
    // Rare: nobody takes anything, or the best one is to be avoided.
    const own = this.own();
    const connected = own.filter((worker) => worker.view.status === "connected");
    const ready = connected.filter((worker) => worker.lostAt === null);
    const others = ready.filter((worker) => !avoid.has(worker.view.url));
    const candidates = [others, ready, connected].find((list) => list.length > 0) ?? own;
    return candidates.reduce<KnownWorker | undefined>(
      (best, worker) => (best === undefined || load(worker) < load(best) ? worker : best),
      undefined,
    );
  }

  /** What it does from now on counts against its room, until the returned function is called. */
  occupy(worker: KnownWorker): () => void {
    worker.inFlight += 1;
    this.#place(worker);
    return () => {
      worker.inFlight -= 1;
      this.#place(worker);
    };
  }

  #place(worker: KnownWorker): void {
    if (!worker.own) return;
    if (worker.view.status === "connected" && worker.lostAt === null)
      this.#room.set(worker, load(worker));
    else this.#room.delete(worker);
  }

  close(): void {
    this.#stop.abort();
    for (const { client } of this.#known.values()) client.close();
  }
}

function slotsOf({ view }: KnownWorker): number {
  return view.status === "connected" ? (view.info?.slots ?? 0) : 0;
}

function load({ inFlight, view }: KnownWorker): number {
  return inFlight / (view.info?.slots ?? 1);
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
