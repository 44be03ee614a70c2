// What the services of commands printed: a file for each, beside the output of the attempt that they served.

import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { ByteLog } from "../../lib/byte-log.js";

/** Whose they are: `outputPath` is the attempt's output. */
export interface ServiceRef {
  readonly outputPath: string;
  readonly call: number;
  readonly name: string;
}

export class ServiceOutputs {
  readonly #limitBytes: number;
  readonly #onLoss: () => void;
  readonly #live = new Map<string, ByteLog>();

  constructor(limitBytes: number, onLoss: () => void) {
    this.#limitBytes = limitBytes;
    this.#onLoss = onLoss;
  }

  /** Empty: what an earlier boss had of it, the worker has still. */
  async open(ref: ServiceRef): Promise<ByteLog> {
    const path = servicePath(ref);
    await rm(path, { force: true });
    const log = new ByteLog(path, { limitBytes: this.#limitBytes, onLoss: this.#onLoss });
    this.#live.set(path, log);
    return log;
  }

  /** Gives how many bytes there are. */
  async close(ref: ServiceRef): Promise<number> {
    const path = servicePath(ref);
    const log = this.#live.get(path);
    // Of a file that could not be made its writer has heard.
    await log?.end().catch(() => {});
    this.#live.delete(path);
    return log?.length ?? 0;
  }

  isLive(ref: ServiceRef): boolean {
    return this.#live.has(servicePath(ref));
  }

  /** Bytes so far; null where nothing is kept of it. */
  async length(ref: ServiceRef): Promise<number | null> {
    const path = servicePath(ref);
    const live = this.#live.get(path);
    if (live) return live.length;
    const found = await stat(path).catch(() => null);
    return found?.size ?? null;
  }

  /** What is there now; `follow`: and what comes, until the service has ended. */
  async *read(
    ref: ServiceRef,
    { offset, follow, signal }: { offset: number; follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    const path = servicePath(ref);
    const live = this.#live.get(path);
    if (!live) {
      yield* createReadStream(path, { start: offset, signal });
      return;
    }
    let left = follow ? Number.POSITIVE_INFINITY : live.length - offset;
    if (left <= 0) return;
    for await (const chunk of live.follow(offset, signal)) {
      yield chunk.length > left ? chunk.subarray(0, left) : chunk;
      left -= chunk.length;
      if (left <= 0) return;
    }
  }
}

/** A service's name is one of a host, so it can be one of a file. */
function servicePath({ outputPath, call, name }: ServiceRef): string {
  return `${outputPath}.${call}.service-${name}`;
}
