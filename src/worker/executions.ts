// The executions a worker knows, by the id their client gave them, and the lease that keeps each alive:
// with no stream open on it for that long its client is gone, so it ends and is forgotten.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ByteLog } from "../lib/byte-log.js";
import type { CommandRequest, Outcome } from "../wire/worker.js";
import { Execution, type ExecutionDeps } from "./execution.js";

export interface ExecutionsOptions extends Omit<ExecutionDeps, "openOutput"> {
  /** Of one command; of more, the beginning and the end are kept. */
  readonly maxOutputBytes: number;
  readonly folder: string;
  readonly leaseMs: number;
}

/** What has ended holds up nobody: a client that is slow to ask for the rest of the output may be so. */
const keptMs = 60_000;

interface Entry {
  readonly execution: Execution;
  /** As received, to tell a repeated request from another one under the same id. */
  readonly requestText: string;
  readonly outputPath: string;
  streams: number;
  lease: NodeJS.Timeout | null;
}

export class Executions {
  readonly #options: ExecutionsOptions;
  readonly #entries = new Map<string, Entry>();
  /** Of those forgotten, sandbox and file may still be on their way out. */
  readonly #leaving = new Set<Promise<void>>();
  #started = 0;
  #stopped = false;

  constructor(options: ExecutionsOptions) {
    this.#options = options;
  }

  get(id: string): Execution | undefined {
    return this.#entries.get(id)?.execution;
  }

  /** The execution of that id, started now if there is none; null if it was asked for something else. */
  put(id: string, request: CommandRequest): Execution | null {
    const requestText = JSON.stringify(request);
    const known = this.#entries.get(id);
    if (known) return known.requestText === requestText ? known.execution : null;
    this.#started += 1;
    const outputPath = join(this.#options.folder, `output-${this.#started}`);
    const execution = new Execution(id, request, {
      ...this.#options,
      openOutput: () => new ByteLog(outputPath, { limitBytes: this.#options.maxOutputBytes }),
    });
    const entry = { execution, requestText, outputPath, streams: 0, lease: null };
    this.#entries.set(id, entry);
    this.#startLease(entry);
    return execution;
  }

  /** To be called when a client opens a stream on it; the returned function when that closes. */
  attach(id: string): () => void {
    const entry = this.#entries.get(id);
    if (!entry) return () => {};
    entry.streams += 1;
    if (entry.lease) clearTimeout(entry.lease);
    entry.lease = null;
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      entry.streams -= 1;
      if (entry.streams === 0) this.#startLease(entry);
    };
  }

  /** Cancels it if it still runs, and forgets it. Resolves when nothing of it is left. */
  async remove(id: string, outcome: Outcome = { kind: "cancelled" }): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    if (entry.lease) clearTimeout(entry.lease);
    entry.execution.end(outcome);
    const left = this.#leave(entry);
    this.#leaving.add(left);
    await left;
    this.#leaving.delete(left);
  }

  async #leave({ execution, outputPath }: Entry) {
    await execution.disposed;
    await rm(outputPath, { force: true }).catch((error: Error) => {
      this.#options.log(`could not remove ${outputPath}: ${error.message}`);
    });
  }

  /** Ends all of them, and tells their clients why. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const outcome = { kind: "faulted", message: "the worker was stopped" } as const;
    const all = [...this.#entries.values()];
    for (const { execution } of all) execution.end(outcome);
    await Promise.all([...all.map(({ execution }) => execution.disposed), ...this.#leaving]);
    for (const { lease } of all) if (lease) clearTimeout(lease);
  }

  #startLease(entry: Entry) {
    if (this.#stopped || this.#entries.get(entry.execution.id) !== entry) return;
    const { leaseMs } = this.#options;
    const patienceMs = entry.execution.finished ? Math.max(leaseMs, keptMs) : leaseMs;
    entry.lease = setTimeout(() => void this.remove(entry.execution.id), patienceMs);
  }
}
