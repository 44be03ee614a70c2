// Runs in Node's thread for module hooks, registered after tsx's so that these are asked first. Decides
// what is an ES module, has the boss transform it, and reports every file before that, so that a broken
// one is known too.

import { readFile } from "node:fs/promises";
import type { LoadHook, ResolveHook } from "node:module";
import { pathToFileURL } from "node:url";
import type { MessagePort } from "node:worker_threads";
import { endChildren, trackChildren } from "./children.js";
import { isOwnSource, loadKind, moduleFormat, pathOf, resolveApi } from "./module-kinds.js";
import { deletedCommonJs, findPinned, pin, pinnedSource } from "./pinned.js";

export interface HookData {
  readonly port: MessagePort;
  readonly apiUrl: string;
}

/** To the home's main thread. */
export type FromHooks =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "import"; readonly importer: string; readonly path: string }
  | { readonly type: "missing"; readonly importer: string; readonly specifier: string }
  | {
      readonly type: "transform";
      readonly id: number;
      readonly path: string;
      readonly source: Uint8Array;
    }
  | { readonly type: "child"; readonly pid: number; readonly alive: boolean }
  | { readonly type: "flushed" }
  | { readonly type: "ended-children" };

export type ToHooks =
  | { readonly type: "transformed"; readonly id: number; readonly code: Uint8Array | null }
  | { readonly type: "pin"; readonly sources: ReadonlyMap<string, Uint8Array> }
  /** Asks for `flushed`, which comes behind all that was posted before. */
  | { readonly type: "flush" }
  | { readonly type: "end-children" };

let port: MessagePort;
let apiUrl: string;
let lastId = 0;
const waiting = new Map<number, (code: Uint8Array | null) => void>();

export function initialize(data: HookData): void {
  ({ port, apiUrl } = data);
  // tsx has an esbuild child here as soon as it transforms something by itself.
  trackChildren({ changed: (pid, alive) => post({ type: "child", pid, alive }) });
  port.on("message", (message: ToHooks) => {
    if (message.type === "flush") return post({ type: "flushed" });
    if (message.type === "pin") return pin(message.sources);
    if (message.type === "end-children") {
      endChildren().then(() => post({ type: "ended-children" }));
      return;
    }
    waiting.get(message.id)?.(message.code);
    waiting.delete(message.id);
  });
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  const ours = resolveApi(specifier, apiUrl);
  if (ours === "inside") return next(specifier, { ...context, parentURL: apiUrl });
  if (ours) return ours;
  const importer = context.parentURL?.startsWith("file:") ? pathOf(context.parentURL) : null;
  try {
    const resolved = await next(specifier, context);
    if (!resolved.url.startsWith("file:")) return resolved;
    const path = pathOf(resolved.url);
    if (importer && isOwnSource(path)) post({ type: "import", importer, path });
    return { ...resolved, format: moduleFormat(path, resolved.format) };
  } catch (error) {
    const found = findPinned(specifier, importer);
    if (found !== undefined) {
      const url = pathToFileURL(found).href;
      if (importer) post({ type: "import", importer, path: found });
      const format = moduleFormat<never>(found, null);
      return { url, format, shortCircuit: true };
    }
    if (importer) post({ type: "missing", importer, specifier });
    throw error;
  }
};

export const load: LoadHook = async (url, context, next) => {
  if (!url.startsWith("file:")) return next(url, context);
  const path = pathOf(url);
  if (isOwnSource(path)) post({ type: "file", path });
  switch (loadKind(path, context)) {
    case "transform":
      return { format: "module", source: await transform(path), shortCircuit: true };
    case "commonjs": {
      const source = deletedCommonJs(path);
      const format = source === undefined ? "commonjs" : "module";
      return { format, source, shortCircuit: true };
    }
    default: {
      const source = path.endsWith(".json") ? pinnedSource(path) : undefined;
      return source ? { format: "json", source, shortCircuit: true } : next(url, context);
    }
  }
};

async function transform(path: string): Promise<Uint8Array> {
  const source = pinnedSource(path) ?? (await readFile(path));
  lastId += 1;
  const id = lastId;
  const answer = new Promise<Uint8Array | null>((done) => waiting.set(id, done));
  post({ type: "transform", id, path, source });
  const code = await answer;
  // The boss has kept the error with its place, which no exception could carry this well.
  if (code === null) throw new SyntaxError(`${path} cannot be transformed`);
  return code;
}

function post(message: FromHooks): void {
  port.postMessage(message);
}
