// The executions a worker knows, by the id their client gave them, and what keeps each alive: a client
// that asked for a lease must be heard from within it, whatever its streams look like; any other must keep a
// stream open. Otherwise the client is gone, so the execution ends and is forgotten.

import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ByteLog } from "../lib/byte-log.js";
import { onSilence, type Silence } from "../lib/silence.js";
import { formatDuration } from "../lib/units.js";
import { longestLeaseMs } from "../wire/well-known.js";
import type { CommandRequest, Outcome } from "../wire/worker.js";
import { Execution, type ExecutionDeps } from "./execution.js";

export interface ExecutionsOptions extends Omit<ExecutionDeps, "openOutput" | "packPath"> {
  /** Of one command; of more, the beginning and the end are kept. */
  readonly maxOutputBytes: number;
  readonly folder: string;
  /** Of all clients, running, waiting, or ended and not yet fetched. Each may hold as much as a request may. */
  readonly most: number;
  /** How long a client without a lease of its own may be without a stream. */
  readonly leaseMs: number;
}

/** Most commands print less: then all that goes on with files would cost more than everything else the worker does. */
const littleOutputBytes = 8 * 1024;

/** What has ended holds up nobody: a client that is slow to ask for the rest of the output may be so. */
const keptMs = 60_000;

const leaseIsOver = {
  kind: "faulted",
  message: "the worker heard nothing of its client for longer than the lease",
  workerLost: true,
} as const satisfies Outcome;

function handedBack(message: string) {
  return { kind: "faulted", message, workerLost: true } as const satisfies Outcome;
}

interface Entry {
  readonly execution: Execution;
  /** As received, to tell a repeated request from another one under the same id. */
  readonly requestText: string;
  readonly outputPath: string;
  /** Its own, and that of its services. */
  readonly outputs: ByteLog[];
  /** What its client asked for; null: it must keep a stream open. */
  readonly leaseMs: number | null;
  streams: number;
  /** Ends it; set while its client is not known to be there. */
  lease: Silence | null;
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

  get most(): number {
    return this.#options.most;
  }

  get isFull(): boolean {
    return this.#entries.size >= this.most;
  }

  get(id: string): Execution | undefined {
    return this.#entries.get(id)?.execution;
  }

  /** The execution of that id, started now if there is none; null if it was asked for something else. */
  put(id: string, request: CommandRequest, leaseMs: number | null = null): Execution | null {
    const requestText = JSON.stringify(request);
    const known = this.#entries.get(id);
    if (known) return known.requestText === requestText ? known.execution : null;
    this.#started += 1;
    const outputPath = join(this.#options.folder, `output-${this.#started}`);
    const execution = new Execution(id, request, {
      ...this.#options,
      packPath: packPathOf(outputPath),
      openOutput: (service, changed) => {
        const path = service === undefined ? outputPath : servicePathOf(outputPath, service);
        const limitBytes = this.#options.maxOutputBytes;
        const output = new ByteLog(path, {
          limitBytes,
          memoryBytes: littleOutputBytes,
          ...(changed && { changed }),
        });
        entry.outputs.push(output);
        return output;
      },
    });
    const entry: Entry = {
      execution,
      requestText,
      outputPath,
      outputs: [],
      leaseMs: leaseMs === null ? null : Math.min(leaseMs, longestLeaseMs),
      streams: 0,
      lease: null,
    };
    this.#entries.set(id, entry);
    this.#startLease(entry);
    return execution;
  }

  /** The files that an ended execution has left, from a byte of their pack on. */
  async *pack(id: string, offset: number): AsyncGenerator<Uint8Array> {
    const entry = this.#entries.get(id);
    const bytes = entry?.execution.packBytes ?? 0;
    if (!entry || offset >= bytes) return;
    yield* createReadStream(packPathOf(entry.outputPath), { start: offset, end: bytes - 1 });
  }

  /** To be called when a client opens a stream on it; the returned function when that closes. */
  attach(id: string): () => void {
    const entry = this.#entries.get(id);
    if (!entry) return () => {};
    entry.streams += 1;
    if (entry.leaseMs !== null) this.renew(id);
    else this.#stopLease(entry);
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      entry.streams -= 1;
      if (entry.streams === 0 && entry.leaseMs === null) this.#startLease(entry);
    };
  }

  /** Its client has been heard from. False: there is none of that id. */
  renew(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry && entry.leaseMs !== null) this.#startLease(entry);
    return entry !== undefined;
  }

  /** Cancels it if it still runs, and forgets it. Resolves when nothing of it is left. */
  async remove(id: string, outcome: Outcome = { kind: "cancelled" }): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    this.#stopLease(entry);
    entry.execution.end(outcome);
    const left = this.#leave(entry);
    this.#leaving.add(left);
    await left;
    this.#leaving.delete(left);
  }

  async #leave({ execution, outputPath, outputs }: Entry) {
    await execution.disposed;
    const { results = [], artifacts = [] } = execution.request;
    const paths = outputs.filter(({ hasFile }) => hasFile).map(({ path }) => path);
    if (results.length + artifacts.length > 0) paths.push(packPathOf(outputPath));
    for (const path of paths) {
      await rm(path, { force: true }).catch((error: Error) => {
        this.#options.log(`could not remove ${path}: ${error.message}`);
      });
    }
  }

  /** Hands back those that still wait for their turn: elsewhere they may be served. */
  endWaiting(message: string): void {
    for (const { execution } of this.#entries.values()) {
      if (execution.isWaiting) execution.end({ ...handedBack(message), notStarted: true });
    }
  }

  /** Lets what runs end within `graceMs`, then ends the rest, and tells their clients why. */
  async stop(graceMs = 0): Promise<void> {
    this.endWaiting("the worker was stopped before the command's turn");
    const all = () => [...this.#entries.values()];
    const gone = () =>
      Promise.all([...all().map(({ execution }) => execution.disposed), ...this.#leaving]);
    if (graceMs > 0) await Promise.race([gone(), wait(graceMs, undefined, { ref: false })]);
    this.#stopped = true;
    const message =
      graceMs > 0
        ? `the worker was stopped, and the command did not end within ${formatDuration(graceMs)}`
        : "the worker was stopped";
    for (const { execution } of all()) execution.end(handedBack(message));
    await gone();
    for (const entry of all()) this.#stopLease(entry);
  }

  #startLease(entry: Entry) {
    this.#stopLease(entry);
    const { id, finished } = entry.execution;
    if (this.#stopped || this.#entries.get(id) !== entry) return;
    const leaseMs = entry.leaseMs ?? this.#options.leaseMs;
    const patienceMs = finished ? Math.max(leaseMs, keptMs) : leaseMs;
    const outcome = entry.leaseMs === null ? undefined : leaseIsOver;
    entry.lease = onSilence(patienceMs, () => {
      // It ended meanwhile, while its client was away.
      if (entry.execution.finished && !finished) this.#startLease(entry);
      else void this.remove(id, outcome);
    });
  }

  #stopLease(entry: Entry) {
    entry.lease?.stop();
    entry.lease = null;
  }
}

function servicePathOf(outputPath: string, name: string): string {
  return `${outputPath}.service-${name}`;
}

function packPathOf(outputPath: string): string {
  return `${outputPath}.files`;
}
