// Brings a tree to a worker, in as few round trips as can be: one where the worker knows the tree before it, or has
// all of its contents.

import { pipeline, Readable } from "node:stream";
import { createDeflate } from "node:zlib";
import {
  contentsOf,
  encodeChanges,
  type FileEntry,
  type Manifest,
  type TreeChanges,
} from "../source/manifest.js";
import { pack } from "../source/pack.js";
import { readText, refusal } from "./connection.js";
import { sourceHeaders, TreeAnswer } from "./source.js";
import { type WorkerConnection, WorkerError } from "./worker-connection.js";

export interface OutgoingTree {
  readonly hash: string;
  /** Null: its list is not known here; the worker has it, or cannot get it. */
  readonly manifest: Manifest | null;
  readonly since: { readonly base: string; readonly changes: TreeChanges } | null;
  /** Rejects where the content is not to be had any more. */
  read(entry: FileEntry): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** So much goes along unasked: asking whether the worker lacks it would cost a round trip. */
const unaskedBytes = 256 * 1024;
/** Streams side by side, where there is so much for each. */
const mostStreams = 4;
const bytesEach = 8 * 2 ** 20;
const mostTries = 6;

export class UnknownTreeError extends Error {}

/** Resolves when the worker has it. Tries again when it is cut, and sends only what has not come. */
export async function sendTree(
  worker: WorkerConnection,
  tree: OutgoingTree,
  { key, signal }: { readonly key: string; readonly signal: AbortSignal },
): Promise<{ readonly bytesSent: number }> {
  const sender = new TreeSender(worker, tree, key, signal);
  let answer = await sender.offer(tree.since);
  if (answer.status === "unknown-base") {
    if (!tree.manifest) {
      throw new UnknownTreeError(`worker ${worker.url} has no source tree ${tree.hash} any more`);
    }
    answer = await sender.offer(null);
  }
  for (let tries = 0; answer.status === "lacking"; tries++) {
    if (tries === mostTries)
      throw new WorkerError(`worker ${worker.url} asks for the same files again and again`);
    answer = await sender.contents(answer.missing);
  }
  if (answer.status !== "ready") {
    throw new WorkerError(
      `worker ${worker.url} lost the source tree ${tree.hash} while it came`,
      true,
    );
  }
  return { bytesSent: sender.bytesSent };
}

class TreeSender {
  readonly #worker: WorkerConnection;
  readonly #tree: OutgoingTree;
  readonly #key: string;
  readonly #signal: AbortSignal;
  bytesSent = 0;

  constructor(worker: WorkerConnection, tree: OutgoingTree, key: string, signal: AbortSignal) {
    this.#worker = worker;
    this.#tree = tree;
    this.#key = key;
    this.#signal = signal;
  }

  offer(since: OutgoingTree["since"]): Promise<TreeAnswer> {
    const { hash } = this.#tree;
    const whole = since ? null : this.#tree.manifest;
    // Of a tree whose list is not known here it is asked whether that tree is as it is.
    const base = since?.base ?? (whole ? null : hash);
    const changes = since?.changes ?? { removed: [], set: whole ?? [] };
    const list = encodeChanges(changes);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(list.length);
    let bytes = 0;
    const along = since ? [...contentsOf(changes.set).values()] : [];
    for (const { size } of along) bytes += size;
    const pack = bytes <= unaskedBytes ? this.#pack(along) : [];
    return this.#send("PUT", `trees/${hash}`, concat([length, list], pack), {
      ...(base !== null && { [sourceHeaders.base]: base }),
    });
  }

  /** Side by side; whoever ends last says what is still missing. */
  async contents(missing: readonly string[]): Promise<TreeAnswer> {
    const all = contentsOf(this.#tree.manifest ?? this.#tree.since?.changes.set ?? []);
    const entries = missing.map((hash) => {
      const entry = all.get(hash);
      if (!entry)
        throw new WorkerError(`worker ${this.#worker.url} lacks ${hash} of a tree it knows`);
      return entry;
    });
    const parts = shares(entries);
    const path = `trees/${this.#tree.hash}/contents`;
    const answers = await Promise.allSettled(
      parts.map((part) => this.#send("POST", path, this.#pack(part))),
    );
    this.#signal.throwIfAborted();
    const said = answers.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const ready = said.find(({ status }) => status === "ready");
    if (ready) return ready;
    const failed = answers.find((one) => one.status === "rejected");
    // Content that is not to be had will not be the next time.
    if (failed && !isCut(failed.reason)) throw failed.reason;
    return this.#stillMissing();
  }

  /** After a cut: what has come, has come. */
  #stillMissing(): Promise<TreeAnswer> {
    return this.offer(this.#tree.manifest ? null : this.#tree.since);
  }

  #pack(entries: readonly FileEntry[]): AsyncGenerator<Uint8Array> {
    return pack(entries.map((entry) => ({ ...entry, read: () => this.#tree.read(entry) })));
  }

  async #send(
    method: "PUT" | "POST",
    path: string,
    body: AsyncIterable<Uint8Array>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TreeAnswer> {
    const plain = Readable.from(body, { objectMode: false });
    // On this machine packing costs more than it saves.
    const isNear = this.#worker.isLoopback;
    // Both end when one does: what is packed may hold a file open. Of errors the upload hears.
    const packed = isNear ? plain : pipeline(plain, createDeflate({ level: 3 }), () => {});
    packed.on("data", (chunk: Buffer) => {
      this.bytesSent += chunk.length;
    });
    const response = await this.#worker.upload({
      method,
      path,
      headers: {
        [sourceHeaders.key]: this.#key,
        "content-type": "application/octet-stream",
        ...(!isNear && { "content-encoding": "deflate" }),
        ...headers,
      },
      body: packed,
      signal: this.#signal,
    });
    if (response.statusCode !== 200) {
      throw new WorkerError(`worker ${this.#worker.url}: ${await refusal(response)}`);
    }
    return TreeAnswer.parse(JSON.parse(await readText(response)));
  }
}

/** What ended a stream that the network has, not what was in it. */
function isCut(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code !== "ENOENT";
}

function shares(entries: readonly FileEntry[]): FileEntry[][] {
  const bytes = entries.reduce((sum, { size }) => sum + size, 0);
  const count = Math.max(1, Math.min(mostStreams, Math.floor(bytes / bytesEach)));
  const parts: FileEntry[][] = Array.from({ length: count }, () => []);
  let sent = 0;
  for (const entry of entries) {
    parts[Math.min(count - 1, Math.floor((sent / Math.max(1, bytes)) * count))]!.push(entry);
    sent += entry.size;
  }
  return parts;
}

async function* concat(
  first: readonly Uint8Array[],
  rest: AsyncIterable<Uint8Array> | readonly Uint8Array[],
): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}
