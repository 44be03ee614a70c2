// Folders that commands have left for those after them. A cache appears at once and whole: it is copied aside, digested,
// and then renamed into its place with the record of what it is. After that nobody writes to it: sandboxes see it
// below a layer of their own, or get a copy.
//
//   entries/ID/record.json    what it is; the time of this file is when it was last used
//   entries/ID/tree/          what is in it
//   incoming/                 being copied, or on its way out; removed at a start

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { mkdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { asError } from "../../lib/as-error.js";
import { formatBytes } from "../../lib/units.js";
import { CopyTooLarge, copy } from "./copy.js";

export interface CacheStoreOptions {
  /** In the folder of the store of sources, whose lock is that of this one too. */
  readonly folder: string;
  readonly maxBytes: number;
  readonly log: (line: string) => void;
}

const Record = z.object({
  group: z.string(),
  key: z.string(),
  bytes: z.number().int().nonnegative(),
  digest: z.string(),
  madeAt: z.number(),
});

interface Entry extends z.infer<typeof Record> {
  readonly id: string;
  usedAt: number;
  /** Sandboxes that see it. */
  users: number;
}

/** One that is held for a sandbox, and stays until it is released. */
export interface HeldCache {
  readonly key: string;
  readonly bytes: number;
  /** A folder that nobody may write to. */
  readonly tree: string;
  release(): void;
}

export interface CacheName {
  /** Who shares it, and where its folders lie in a sandbox. */
  readonly group: string;
  readonly key: string;
}

/** Where in the tree of a cache a folder of a sandbox goes. */
export interface CachedItem {
  readonly from: string;
  readonly at: string;
  /** So many folders on the way to it are like those on the way to what is copied. */
  readonly parents: number;
}

export type Saved =
  | { readonly ok: true; readonly bytes: number }
  /** In words, the end of a sentence. */
  | { readonly ok: false; readonly reason: string };

export class CacheStore {
  readonly #options: CacheStoreOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #saving = new Set<string>();
  /** Those that this process has made or digested. */
  readonly #sound = new Map<string, Promise<boolean>>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: CacheStoreOptions) {
    this.#options = options;
    rmSync(this.#incoming, { recursive: true, force: true, maxRetries: 3 });
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
    mkdirSync(this.#path(""), { recursive: true, mode: 0o700 });
    for (const id of readdirSync(this.#path(""))) {
      const entry = this.#load(id);
      if (entry) this.#entries.set(id, entry);
      else rmSync(this.#path(id), { recursive: true, force: true });
    }
    this.#makeRoom(0);
  }

  get #incoming(): string {
    return join(this.#options.folder, "incoming");
  }

  #path(id: string): string {
    return join(this.#options.folder, "entries", id);
  }

  #load(id: string): Entry | null {
    try {
      const path = join(this.#path(id), "record.json");
      const record = Record.parse(JSON.parse(readFileSync(path, "utf8")));
      return { ...record, id, usedAt: statSync(path).mtimeMs, users: 0 };
    } catch {
      return null;
    }
  }

  get bytes(): number {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.bytes;
    return bytes;
  }

  has(name: CacheName): boolean {
    return this.#entries.has(idOf(name));
  }

  /** The one of that key, else the latest whose key begins with the first of `prefixes` that any has; verified. */
  async hold(name: CacheName, prefixes: readonly string[]): Promise<HeldCache | null> {
    for (;;) {
      const entry = this.#find(name, prefixes);
      if (!entry) return null;
      entry.users += 1;
      const isSound = await this.#verified(entry);
      if (isSound && this.#entries.get(entry.id) === entry) return this.#held(entry);
      entry.users -= 1;
      if (!isSound) await this.#forget(entry);
    }
  }

  #find(name: CacheName, prefixes: readonly string[]): Entry | null {
    const exact = this.#entries.get(idOf(name));
    if (exact) return exact;
    const all = [...this.#entries.values()].filter(({ group }) => group === name.group);
    for (const prefix of prefixes) {
      const found = all.filter(({ key }) => key.startsWith(prefix));
      if (found.length > 0) return found.reduce((a, b) => (b.madeAt > a.madeAt ? b : a));
    }
    return null;
  }

  #held(entry: Entry): HeldCache {
    const { id, key, bytes } = entry;
    entry.usedAt = Date.now();
    // Of two used in the same millisecond, the order tells.
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    const now = new Date();
    void utimes(join(this.#path(id), "record.json"), now, now).catch(() => {});
    let isHeld = true;
    return {
      key,
      bytes,
      tree: join(this.#path(id), "tree"),
      release: () => {
        if (isHeld) entry.users -= 1;
        isHeld = false;
      },
    };
  }

  /** Read as a whole when this process first serves it: a machine that lost power may have lost some of it. */
  #verified(entry: Entry): Promise<boolean> {
    let verifying = this.#sound.get(entry.id);
    if (!verifying) {
      verifying = this.#isWhole(entry);
      this.#sound.set(entry.id, verifying);
    }
    return verifying;
  }

  async #isWhole({ id, key, digest }: Entry): Promise<boolean> {
    try {
      const found = await copy({ kind: "digest", folder: join(this.#path(id), "tree") });
      if (found.digest === digest) return true;
      this.#options.log(`cache ${key} is not what was saved, and is dropped`);
    } catch (error) {
      this.#options.log(`cache ${key} cannot be read, and is dropped: ${asError(error).message}`);
    }
    return false;
  }

  /** Of two that save the same key at a time, one does. Never rejects but for the signal. */
  async save(name: CacheName, items: readonly CachedItem[], signal: AbortSignal): Promise<Saved> {
    const id = idOf(name);
    if (this.#entries.has(id) || this.#saving.has(id)) {
      return { ok: false, reason: "another command has saved it meanwhile" };
    }
    this.#saving.add(id);
    const aside = join(this.#incoming, randomBytes(8).toString("hex"));
    try {
      return await this.#save({ ...name, id }, { aside, items }, signal);
    } catch (error) {
      signal.throwIfAborted();
      const tooLarge = `it is larger than --max-caches allows (${formatBytes(this.#options.maxBytes)})`;
      return {
        ok: false,
        reason: error instanceof CopyTooLarge ? tooLarge : asError(error).message,
      };
    } finally {
      this.#saving.delete(id);
      await rm(aside, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
    }
  }

  async #save(
    { group, key, id }: CacheName & { readonly id: string },
    { aside, items }: { readonly aside: string; readonly items: readonly CachedItem[] },
    signal: AbortSignal,
  ): Promise<Saved> {
    const tree = join(aside, "tree");
    await mkdir(tree, { recursive: true, mode: 0o755 });
    const { bytes, digest } = await copy(
      {
        kind: "copy",
        items: items.map(({ from, at, parents }) => ({ from, to: join(tree, at), parents })),
        maxBytes: this.#options.maxBytes,
        digest: tree,
      },
      signal,
    );
    if (!this.#makeRoom(bytes)) {
      return { ok: false, reason: "the worker's caches (--max-caches) are full of what is in use" };
    }
    const record = { group, key, bytes, digest, madeAt: Date.now() };
    await writeFile(join(aside, "record.json"), JSON.stringify(record), { mode: 0o600 });
    await rename(aside, this.#path(id));
    this.#entries.set(id, { ...record, id, usedAt: record.madeAt, users: 0 });
    this.#sound.set(id, Promise.resolve(true));
    return { ok: true, bytes };
  }

  /** Drops the least used until so much fits. */
  #makeRoom(wanted: number): boolean {
    const spare = [...this.#entries.values()]
      .filter(({ users }) => users === 0)
      .sort((a, b) => a.usedAt - b.usedAt);
    while (this.bytes + wanted > this.#options.maxBytes) {
      const entry = spare.shift();
      if (!entry) return false;
      void this.#forget(entry);
    }
    return true;
  }

  /** Moved away first, so that nothing half removed is ever taken for a cache. */
  #forget({ id }: Entry): Promise<void> {
    if (!this.#entries.delete(id)) return Promise.resolve();
    this.#sound.delete(id);
    const aside = join(this.#incoming, randomBytes(8).toString("hex"));
    const leaving = rename(this.#path(id), aside)
      .then(() => rm(aside, { recursive: true, force: true, maxRetries: 3 }))
      .catch((error: Error) => this.#options.log(`could not remove a cache: ${error.message}`))
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    return leaving;
  }

  /** Keys of those that are not what was saved. Reads everything. */
  async verify(): Promise<string[]> {
    const wrong: string[] = [];
    for (const entry of this.#entries.values()) {
      if (!(await this.#isWhole(entry))) wrong.push(entry.key);
    }
    return wrong;
  }

  async close(): Promise<void> {
    await Promise.all(this.#leaving);
  }
}

function idOf({ group, key }: CacheName): string {
  return `${short(group)}-${short(key)}`;
}

function short(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
