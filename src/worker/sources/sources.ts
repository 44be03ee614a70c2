// The worker's sources, opened when the first one comes: many a worker never sees one.

import { join } from "node:path";
import { asError } from "../../lib/as-error.js";
import type { CommandSource } from "../../wire/source.js";
import type { CommandRequest } from "../../wire/worker.js";
import { BuiltFiles } from "../builds/built-files.js";
import { CacheStore } from "../caches/cache-store.js";
import { ExecutorFault, type MakePlace } from "../executors/executor.js";
import { type GitLimits, GitMirrors } from "./git-mirrors.js";
import type { SourceRoutes } from "./routes.js";
import { type BorrowedTree, SourceStore } from "./store.js";

export interface Sources extends SourceRoutes {
  caches(): Promise<CacheStore>;
  builtFiles(): Promise<BuiltFiles>;
  close(): Promise<void>;
}

export interface SourcesOptions {
  /** Undefined: sources go with the worker. */
  readonly folder: string | undefined;
  readonly ownFolder: string;
  readonly maxBytes: number;
  /** Of caches, beside the sources. */
  readonly maxCacheBytes: number;
  /** Private copies even where overlays can be mounted. */
  readonly copy?: boolean;
  readonly gitLimits?: Partial<GitLimits>;
  readonly log: (line: string) => void;
}

export function openSources({
  folder,
  ownFolder,
  maxCacheBytes,
  gitLimits,
  ...options
}: SourcesOptions): Sources {
  const { log } = options;
  let opened: ReturnType<typeof open> | null = null;

  async function open() {
    const own = join(ownFolder, "sources");
    let path = folder ?? own;
    let store = await SourceStore.open({ folder: path, ...options });
    if (!store) {
      log(`another worker uses ${path}: sources are kept as long as this one runs`);
      path = own;
      store = await SourceStore.open({ folder: path, ...options });
    }
    if (!store) throw new Error(`the store of sources at ${path} is in use`);
    if (store.overlayProblem !== null) {
      log(
        `each task gets a copy of its source, since overlays cannot be used: ${store.overlayProblem}`,
      );
    }
    const caches = new CacheStore({ folder: join(path, "caches"), maxBytes: maxCacheBytes, log });
    const mirrors = await GitMirrors.open(join(path, "mirrors"), store, log, gitLimits);
    return { store, mirrors, caches, builtFiles: new BuiltFiles(caches) };
  }

  const get = () => {
    opened ??= open().catch((error: unknown) => {
      opened = null;
      throw error;
    });
    return opened;
  };
  return {
    store: async () => (await get()).store,
    mirrors: async () => (await get()).mirrors,
    caches: async () => (await get()).caches,
    builtFiles: async () => (await get()).builtFiles,
    close: async () => {
      const all = await opened?.catch(() => null);
      await all?.caches.close();
      await all?.store.close();
    },
  };
}

/** As the store gives them; but what goes wrong is an ExecutorFault. */
export function placesOf(sources: Sources): MakePlace {
  return () =>
    orFault(async () => {
      const place = await (await sources.store()).place();
      return { ...place, fill: (...given) => orFault(() => place.fill(...given)) };
    });
}

async function orFault<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new ExecutorFault(`the source could not be laid out: ${asError(error).message}`, {
      hint: "is there room on the disk of the worker's data folder?",
    });
  }
}

/**
 * Of the trees that a command names nothing goes until the function it gives is called, which may be called twice. Never
 * rejects: that one is not here, or that there is no store, is said where the tree is needed.
 */
export async function holdTrees(
  sources: Pick<Sources, "store">,
  { source, build, serviceBuilds = {}, cache }: CommandRequest,
): Promise<() => void> {
  const builds = [build, ...Object.values(serviceBuilds)].map((one) => one?.source);
  const named = [source, cache?.hashed, ...builds].filter((one) => one !== undefined);
  const store = named.length > 0 ? await sources.store().catch(() => null) : null;
  const held = named.map((one) => store?.hold(one));
  return () => {
    for (const release of held) release?.();
  };
}

/** What an image is built from. Rejects with an ExecutorFault. */
export async function borrowTree(sources: Sources, source: CommandSource): Promise<BorrowedTree> {
  try {
    return (await sources.store()).borrow(source);
  } catch (error) {
    throw new ExecutorFault(`the source could not be read: ${asError(error).message}`);
  }
}
