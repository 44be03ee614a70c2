import { namesFiles } from "../../lib/cache-words.js";
import type { AskedCache, CommandCaches } from "../../wire/cache.js";
import type { CommandSource } from "../../wire/source.js";
import type { AskedCommand } from "../../wire/worker.js";
import type { WorkerClient } from "../../wire/worker-client.js";
import type { RunSources } from "./sources.js";

export interface CachesBy {
  /** Of the command; its keys are made of these files. Absent: of those of the working tree. */
  readonly source: CommandSource | undefined;
  readonly sources: RunSources;
  readonly worker: WorkerClient;
  readonly signal: AbortSignal;
}

/** Whether it may have caches beside its source. */
export function mountsCaches({ source, cache = [] }: AskedCommand): boolean {
  return cache.some(({ paths }) => !source || paths.some((path) => path.startsWith("/")));
}

/** The caches of a call, as its worker is to know them. */
export async function cachesOf(
  caches: readonly AskedCache[],
  { source, sources, worker, signal }: CachesBy,
): Promise<CommandCaches> {
  const keys = caches.flatMap(({ key, restoreKeys = [] }) => [key, ...restoreKeys]);
  const named = { scope: await sources.cacheScope(), caches: [...caches] };
  if (source || !keys.some(namesFiles)) return named;
  const { tree, key } = await sources({ kind: "workspace" }, worker, signal);
  return { ...named, hashed: { tree, key } };
}
