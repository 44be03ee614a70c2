// The workers a boss knows: its own, and those that pipedefs name by URL.

import { availableParallelism } from "node:os";
import type { WorkerView } from "../wire/boss.js";
import { type CommandRequest, defaultWorkerPort, type Outcome } from "../wire/worker.js";
import { createWorkerClient, type ExecutionIo, type WorkerClient } from "../wire/worker-client.js";

interface KnownWorker {
  readonly client: WorkerClient;
  readonly own: boolean;
  view: WorkerView;
  /** Commands sent and not yet answered. */
  inFlight: number;
}

export interface WorkersOptions {
  /** The boss's own: calls that name no worker go to one of these. */
  readonly own: readonly string[];
  /** Stands in for http://localhost:9009 where nothing answers there. */
  readonly localStandIn?: string;
  readonly onChange: () => void;
}

export class Workers {
  readonly #known = new Map<string, KnownWorker>();
  readonly #options: WorkersOptions;
  readonly #stop = new AbortController();

  constructor(options: WorkersOptions) {
    this.#options = options;
    for (const url of options.own) this.#know(normalizeUrl(url), true);
  }

  views(): WorkerView[] {
    return [...this.#known.values()].map((worker) => worker.view);
  }

  /** How many commands all known workers take at once. */
  slots(): number {
    let slots = 0;
    for (const { view } of this.#known.values()) {
      if (view.status === "connected") slots += view.info?.slots ?? 0;
    }
    // Nobody has answered yet, or the pipedef names workers that no call has reached: begin somewhere.
    return slots || availableParallelism();
  }

  /** Never rejects. `worker` null: the own worker with most room. */
  async execute(
    worker: string | null,
    request: CommandRequest,
    io: ExecutionIo & { readonly chosen: (url: string) => void },
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (worker !== null && !isWorkerUrl(worker)) {
      const hint = `A worker is an address such as http://localhost:${defaultWorkerPort}`;
      return { kind: "faulted", message: `${JSON.stringify(worker)} is no worker's URL`, hint };
    }
    const known = worker === null ? this.#roomiest() : await this.#named(worker);
    if (!known) {
      return {
        kind: "faulted",
        message: "run(image, command) names no worker and this boss has none",
        hint: `Start the boss with --worker URL, or name one: run("http://host:${defaultWorkerPort}", image, command)`,
      };
    }
    io.chosen(known.view.url);
    known.inFlight += 1;
    try {
      return await known.client.execute(request, io, signal);
    } finally {
      known.inFlight -= 1;
    }
  }

  close(): void {
    this.#stop.abort();
    for (const { client } of this.#known.values()) client.close();
  }

  #know(url: string, own: boolean): KnownWorker {
    const found = this.#known.get(url);
    if (found) return found;
    const worker: KnownWorker = {
      client: createWorkerClient(url),
      own,
      view: { url, status: "connecting", info: null, problem: null },
      inFlight: 0,
    };
    this.#known.set(url, worker);
    void worker.client.watch((state) => {
      // What a lost one last said of itself stays: its slots are worth knowing while it restarts.
      worker.view = { url, ...state, info: state.info ?? worker.view.info };
      this.#options.onChange();
    }, this.#stop.signal);
    return worker;
  }

  #roomiest(): KnownWorker | undefined {
    const load = (worker: KnownWorker) => worker.inFlight / (worker.view.info?.slots ?? 1);
    const own = [...this.#known.values()].filter((worker) => worker.own);
    const connected = own.filter((worker) => worker.view.status === "connected");
    const candidates = connected.length > 0 ? connected : own;
    return candidates.reduce<KnownWorker | undefined>(
      (best, worker) => (best === undefined || load(worker) < load(best) ? worker : best),
      undefined,
    );
  }

  async #named(worker: string): Promise<KnownWorker> {
    const url = normalizeUrl(worker);
    const { localStandIn } = this.#options;
    if (localStandIn !== undefined && isLocalDefault(url) && !(await answers(url))) {
      return this.#know(normalizeUrl(localStandIn), true);
    }
    return this.#know(url, false);
  }
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

async function answers(url: string): Promise<boolean> {
  const client = createWorkerClient(url);
  try {
    await client.info(AbortSignal.timeout(1000));
    return true;
  } catch {
    return false;
  } finally {
    client.close();
  }
}
