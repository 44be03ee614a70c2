// Runs in Node's thread for module hooks, before tsx's. Decides what is an ES module, has the boss transform it, and
// reports every file before that, so that a broken one is known too.

import { readFile } from "node:fs/promises";
import { isBuiltin, type LoadHook, type ResolveHook } from "node:module";
import { pathToFileURL } from "node:url";
import type { MessagePort } from "node:worker_threads";
import { endChildren, trackChildren } from "./children.js";
import { isBuiltMachinery } from "./machinery.js";
import { isOwnSource, loadKind, moduleFormat, pathOf, resolveApi } from "./module-kinds.js";
import { deletedCommonJs, findPinned, pin, pinnedSource } from "./pinned.js";
import { type TsxHooks, tsxHooks } from "./tsx-hooks.js";

export interface HookData {
  readonly port: MessagePort;
  readonly apiUrl: string;
}

/** To the home's main thread. */
export type FromHooks =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "import"; readonly importer: string; readonly path: string }
  | { readonly type: "missing"; readonly importer: string; readonly specifier: string }
  | { readonly type: "needs-tsx" }
  | {
      readonly type: "transform";
      readonly id: number;
      readonly path: string;
      readonly source: Uint8Array;
    }
  | { readonly type: "child"; readonly pid: number; readonly alive: boolean }
  | { readonly type: "done"; readonly what: AskedOfHooks };

export type ToHooks =
  | { readonly type: "transformed"; readonly id: number; readonly code: Uint8Array | null }
  | { readonly type: "pin"; readonly sources: ReadonlyMap<string, Uint8Array> }
  | { readonly type: AskedOfHooks };

/** What `done` is the answer to. That of `flush` comes behind all that was posted before. */
export type AskedOfHooks = "flush" | "prepare" | "end-children";

let port: MessagePort;
let apiUrl: string;
let lastId = 0;
/** Modules that were imported by tsx, by us, or by one of these. */
const machinery = new Set<string>();
/** How many of them are being read. */
let oursAtWork = 0;
let saidNeed = false;
const waiting = new Map<number, (code: Uint8Array | null) => void>();

export function initialize(data: HookData): void {
  ({ port, apiUrl } = data);
  // tsx has an esbuild child here as soon as it transforms something by itself.
  trackChildren({ changed: (pid, alive) => post({ type: "child", pid, alive }) });
  port.on("message", (message: ToHooks) => {
    switch (message.type) {
      case "pin":
        pin(message.sources);
        break;
      case "transformed":
        waiting.get(message.id)?.(message.code);
        waiting.delete(message.id);
        break;
      case "flush":
        post({ type: "done", what: "flush" });
        break;
      case "prepare":
        prepare().then(() => post({ type: "done", what: "prepare" }));
        break;
      case "end-children":
        endChildren().then(() => post({ type: "done", what: "end-children" }));
        break;
      default:
        message satisfies never;
    }
  });
}

export const resolve: ResolveHook = async (specifier, context, next) => {
  const ours = resolveApi(specifier, apiUrl);
  if (ours === "inside") return next(specifier, { ...context, parentURL: apiUrl });
  if (ours) return ours;
  const importer = context.parentURL?.startsWith("file:") ? pathOf(context.parentURL) : null;
  try {
    const resolved = await resolvedByTsx(specifier, context, next);
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
  if (url.startsWith("node:")) return next(url, context);
  if (!url.startsWith("file:")) return (await neededTsx()).load(url, context, next);
  if (isOurs(url)) return loadOurs(url, context, next);
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
      if (!source) return (await neededTsx()).load(url, context, next);
      // No bytes: those would be taken away, and with them whatever else is in the same buffer.
      return { format: "json", source: Buffer.from(source).toString(), shortCircuit: true };
    }
  }
};

const loadOurs: LoadHook = async (url, context, next) => {
  oursAtWork += 1;
  try {
    return await next(url, context);
  } finally {
    oursAtWork -= 1;
  }
};

async function prepare(): Promise<void> {
  // Where it fails, it fails once more for who needs it.
  await tsxHooks().catch(() => {});
  // Tsx imports more than it waits for.
  for (let turns = 0; turns < 5; turns = oursAtWork > 0 ? 0 : turns + 1) {
    await new Promise(setImmediate);
  }
}

/** Where Node alone does not find the same. */
const resolvedByTsx: ResolveHook = async (specifier, context, next) => {
  if (isBuiltin(specifier)) return next(specifier, context);
  if (isOurs(context.parentURL)) {
    const resolved = await next(specifier, context);
    // What tsx needs itself comes by here too.
    if (!specifier.startsWith("file:")) {
      machinery.add(resolved.url);
      return resolved;
    }
    // The pipedef, by its whole path.
    if (moduleFormat(pathOf(resolved.url), resolved.format) === "module") return resolved;
  }
  return (await neededTsx()).resolve(specifier, context, next);
};

function neededTsx(): Promise<TsxHooks> {
  if (!saidNeed) post({ type: "needs-tsx" });
  saidNeed = true;
  return tsxHooks();
}

function isOurs(url: string | undefined): boolean {
  if (!url?.startsWith("file:")) return false;
  return machinery.has(url) || isBuiltMachinery(pathOf(url));
}

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
