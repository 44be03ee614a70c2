// The caches of one command: brought into its sandbox before it begins, and kept when it has passed. Whatever goes wrong
// with a cache changes no verdict: the command then does without, and it is said.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, realpath, rm } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { asError } from "../../lib/as-error.js";
import { formatBytes } from "../../lib/units.js";
import type { AskedCache, CommandCaches } from "../../wire/cache.js";
import { type CommandSource, defaultSourcePath } from "../../wire/source.js";
import type { Executor, Sandbox, SandboxFolder } from "../executors/executor.js";
import type { SourceLayer } from "../sources/places.js";
import type { Sources } from "../sources/sources.js";
import type { SourceStore } from "../sources/store.js";
import type { CachedItem, CacheStore, HeldCache } from "./cache-store.js";
import { keyWithHashes } from "./key.js";
import { type CachePlace, nestedPlace, placeOf } from "./placement.js";

export interface OpenCachesOptions {
  readonly request: CommandCaches;
  readonly source: CommandSource | undefined;
  readonly workdir: string | undefined;
  readonly executor: Pick<Executor, "name" | "takesFolders">;
  /** Of this command alone. */
  readonly scratch: string;
}

interface Stores {
  readonly store: SourceStore;
  readonly caches: CacheStore;
}

interface OwnFolder extends SandboxFolder {
  release(): Promise<void>;
}

interface CommandCache {
  readonly group: string;
  readonly key: string;
  readonly places: readonly CachePlace[];
  readonly held: HeldCache | null;
  readonly folders: readonly OwnFolder[];
  readonly words: string;
  readonly in: CacheStore;
}

export class OpenCaches {
  readonly #options: OpenCachesOptions;
  readonly #caches: CommandCache[] = [];
  /** Of those that are not used at all. */
  readonly #notes: string[] = [];
  /** What has become of those that were to be saved. */
  readonly #ends = new Map<CommandCache, string>();

  private constructor(options: OpenCachesOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  static async open(
    sources: Pick<Sources, "store" | "caches">,
    options: OpenCachesOptions,
  ): Promise<OpenCaches> {
    const opened = new OpenCaches(options);
    for (const asked of options.request.caches) {
      try {
        const stores = { store: await sources.store(), caches: await sources.caches() };
        opened.#caches.push(await opened.#open(asked, stores));
      } catch (error) {
        opened.#notes.push(`cache not used: ${named(asked.paths)}: ${asError(error).message}`);
      }
    }
    return opened;
  }

  /** To lie over, or below, the source of the command. */
  get layers(): SourceLayer[] {
    return this.#caches.flatMap(({ held, places }) => {
      const paths = places.flatMap((place) => (place.kind === "source" ? [place.path] : []));
      const folder = held && join(held.tree, "source");
      // Of those that were asked for, none may have been there.
      return folder && paths.length > 0 && existsSync(folder) ? [{ folder, paths }] : [];
    });
  }

  get folders(): SandboxFolder[] {
    return this.#caches.flatMap(({ folders }) => folders);
  }

  async #open(asked: AskedCache, { store, caches }: Stores): Promise<CommandCache> {
    const { request, source, executor, workdir } = this.#options;
    const paths = {
      workdir,
      source: source && (source.path ?? defaultSourcePath),
    };
    const places: CachePlace[] = [];
    for (const path of asked.paths) {
      const place = placeOf(path, paths);
      if (place.kind === "problem") throw new Error(place.message);
      if (place.kind === "folder" && executor.takesFolders !== true) {
        throw new Error(
          `the ${executor.name} executor keeps only what is below a command's source, such as workspace()`,
        );
      }
      places.push(place);
    }
    const nested = nestedPlace([...this.#caches.flatMap((cache) => cache.places), ...places]);
    if (nested !== null) throw new Error(`${nested} lies in another cached folder`);
    const hashed = request.hashed ?? source;
    const tree = async () => (hashed ? store.manifestOf(hashed) : null);
    const key = await keyWithHashes(asked.key, tree);
    const prefixes: string[] = [];
    for (const prefix of asked.restoreKeys ?? []) prefixes.push(await keyWithHashes(prefix, tree));
    // What is kept for one place in a sandbox is of no use at another.
    const group = hashText(JSON.stringify([request.scope, executor.name, places]));
    const held = await caches.hold({ group, key }, prefixes);
    const folders: OwnFolder[] = [];
    try {
      for (const [index, { kind, path }] of places.entries()) {
        if (kind !== "folder") continue;
        const folder = await store.folder(held && join(held.tree, "folders", String(index)));
        folders.push({ folder: folder.path, path, release: folder.release });
      }
    } catch (error) {
      held?.release();
      for (const folder of folders) await folder.release();
      throw error;
    }
    const words = openedWords(asked, key, held);
    return { group, key, places, held, folders, words, in: caches };
  }

  /** Keeps what a command has left that has passed. Rejects only when the signal is aborted. */
  async save(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
    for (const cache of this.#caches) {
      if (cache.held?.key === cache.key) continue;
      this.#ends.set(cache, await this.#save(cache, sandbox, signal));
    }
  }

  async #save(cache: CommandCache, sandbox: Sandbox, signal: AbortSignal): Promise<string> {
    const { scratch } = this.#options;
    try {
      const items = await this.#itemsOf(cache, sandbox, signal);
      if (items.length === 0) return "not saved: nothing is there";
      const saved = await cache.in.save(cache, items, signal);
      return saved.ok ? `saved, ${formatBytes(saved.bytes)}` : `not saved: ${saved.reason}`;
    } catch (error) {
      signal.throwIfAborted();
      return `not saved: ${asError(error).message}`;
    } finally {
      await rm(scratch, { recursive: true, force: true }).catch(() => {});
    }
  }

  async #itemsOf(
    { places, folders }: CommandCache,
    sandbox: Sandbox,
    signal: AbortSignal,
  ): Promise<CachedItem[]> {
    const { source, scratch } = this.#options;
    const items: CachedItem[] = [];
    for (const [index, place] of places.entries()) {
      const at = place.kind === "source" ? join("source", place.path) : `folders/${index}`;
      let from: string | null;
      if (sandbox.readFolder) {
        const home = place.kind === "source" ? (source?.path ?? defaultSourcePath) : "";
        const path = place.kind === "source" ? posix.join(home, place.path) : place.path;
        const archive = await sandbox.readFolder(path);
        from = archive && (await unpacked(archive, join(scratch, String(index)), signal));
      } else if (place.kind === "folder") {
        from = folders.find(({ path }) => path === place.path)?.folder ?? null;
      } else {
        const { sourceFolder } = sandbox;
        from = sourceFolder === undefined ? null : await insideOf(sourceFolder, place.path);
      }
      const parents =
        place.kind === "source" && !sandbox.readFolder ? place.path.split("/").length - 1 : 0;
      if (from !== null) items.push({ from, at, parents });
    }
    return items;
  }

  /** A line for each, when nothing more will be saved, and why not. */
  notes(whyNotSaved: string | null): string[] {
    const told = this.#caches.map((cache) => {
      const { words, held, key } = cache;
      if (held?.key === key) return words;
      return `${words}; ${this.#ends.get(cache) ?? `not saved: ${whyNotSaved}`}`;
    });
    return [...this.#notes, ...told];
  }

  async release(): Promise<void> {
    for (const { held, folders } of this.#caches) {
      for (const folder of folders) await folder.release();
      held?.release();
    }
  }
}

function openedWords({ paths }: AskedCache, key: string, held: HeldCache | null): string {
  if (!held) return `cache miss: ${named(paths)}`;
  const size = formatBytes(held.bytes);
  return held.key === key
    ? `cache hit: ${named(paths)}, ${size}`
    : `cache hit in part: ${named(paths)}, ${size} of ${held.key.slice(0, 100)}`;
}

function named(paths: readonly string[]): string {
  return paths.length > 2 ? `${paths[0]} and ${paths.length - 1} more` : paths.join(" and ");
}

/** The command may have put a link in the way. */
async function insideOf(root: string, path: string): Promise<string | null> {
  const full = join(root, path);
  if (!(await lstat(full).catch(() => null))) return null;
  const home = await realpath(root);
  const parent = await realpath(dirname(full));
  if (parent !== join(home, dirname(path))) throw new Error(`${path} is behind a link`);
  return full;
}

/** An engine's archive of a folder, named from its last part on. */
async function unpacked(
  archive: AsyncIterable<Uint8Array>,
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const tar = spawn("tar", ["-C", folder, "-xpf", "-"], {
    stdio: ["pipe", "ignore", "pipe"],
    signal,
  });
  let words = "";
  tar.stderr.on("data", (chunk: Buffer) => {
    words = (words + chunk).slice(-500);
  });
  const closed = once(tar, "close");
  closed.catch(() => {});
  await pipeline(Readable.from(archive), tar.stdin, { signal }).catch((error: unknown) => {
    if (words === "") throw error;
  });
  const [code] = await closed;
  if (code !== 0) throw new Error(`the folder could not be read: ${words.trim()}`);
  const [name = ""] = await readdir(folder);
  return join(folder, name);
}

function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
