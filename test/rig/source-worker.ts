// The part of a worker that keeps sources, over HTTP, and its store besides.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outgoing } from "../../src/boss/run/outgoing-files.js";
import { scan } from "../../src/source/scan.js";
import type { StatCache } from "../../src/source/stat-cache.js";
import { listen } from "../../src/wire/listen.js";
import { createWorkerClient, type WorkerClient } from "../../src/wire/worker-client.js";
import type { GitLimits } from "../../src/worker/sources/git-mirrors.js";
import { sourceRoutes } from "../../src/worker/sources/routes.js";
import { openSources } from "../../src/worker/sources/sources.js";
import type { SourceStore } from "../../src/worker/sources/store.js";

export const key = "0123456789abcdef-key";
export const by = { key, signal: new AbortController().signal };

export interface SourceWorker extends AsyncDisposable {
  readonly client: WorkerClient;
  readonly store: SourceStore;
  readonly url: string;
  readonly folder: string;
}

export async function startSourceWorker(
  options: {
    folder?: string;
    copy?: boolean;
    maxBytes?: number;
    gitLimits?: Partial<GitLimits>;
  } = {},
): Promise<SourceWorker> {
  const own = mkdtempSync(join(tmpdir(), "bettertest-source-worker-"));
  const { folder = join(own, "store"), copy = false, maxBytes = 2 ** 30, gitLimits = {} } = options;
  const sources = openSources({
    folder,
    ownFolder: own,
    maxBytes,
    maxCacheBytes: 2 ** 30,
    copy,
    gitLimits,
    log: () => {},
  });
  const app = sourceRoutes(sources);
  const server = await listen({
    fetch: (request) => app.fetch(request),
    host: "127.0.0.1",
    port: 0,
    log: () => {},
  });
  const client = createWorkerClient(server.url);
  const store = await sources.store();
  return {
    client,
    store,
    url: server.url,
    folder,
    async [Symbol.asyncDispose]() {
      client.close();
      await server.close(1000);
      await sources.close();
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** The tree of a folder as it is now, brought to a worker. */
export async function bring(root: string, cache: StatCache, client: WorkerClient) {
  const found = await scan(root, cache);
  const { bytesSent } = await client.sendTree(outgoing(root, found), by);
  return { ...found, bytesSent };
}
