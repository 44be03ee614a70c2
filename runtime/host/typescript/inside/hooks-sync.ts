// The hooks of newer Nodes, where tsx's are synchronous and run in this thread: then ours must be so too.
// They cannot wait for the boss's esbuild, so each file that is not kept costs a short-lived one of its own.

import Module, { isBuiltin } from "node:module";
import { pathToFileURL } from "node:url";
import { KeptTransforms } from "../kept-transforms.js";
import { transformSourceSync } from "../transform.js";
import { apiUrl, isBuiltMachinery } from "./machinery.js";
import { isOwnSource, loadKind, moduleFormat, pathOf, resolveApi } from "./module-kinds.js";
import { deletedCommonJs, findPinned, pinnedSource, readSource } from "./pinned.js";

export interface SeenByHooks {
  touch(path: string): void;
  imported(importer: string, path: string): void;
  missing(importer: string, specifier: string): void;
}

// Node 20's declarations do not know them.
interface Resolved {
  readonly url: string;
  readonly format?: string | null | undefined;
  readonly shortCircuit?: boolean;
}
interface Loaded {
  readonly format: string;
  readonly source: string | undefined;
  readonly shortCircuit: true;
}
interface Context {
  readonly parentURL?: string | undefined;
  readonly conditions?: readonly string[];
  readonly format?: string | null | undefined;
  readonly importAttributes?: { readonly type?: string | undefined };
}
export interface SyncHooks {
  resolve(specifier: string, context: Context, next: (s: string, c: Context) => Resolved): Resolved;
  load(url: string, context: Context, next: (u: string, c: Context) => Loaded): Loaded;
}

/** The versions from which on tsx registers synchronous hooks. */
export function tsxHooksAreSync([major = 0, minor = 0, patch = 0]: readonly number[]): boolean {
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 3);
  if (major === 24) return minor > 11 || (minor === 11 && patch >= 1);
  return major === 25 ? minor >= 1 : major > 25;
}

/** What tsx would register. Throws where it registers nothing. */
export function hooksOf(register: () => void): SyncHooks {
  const name = "registerHooks";
  const registerHooks: unknown = Reflect.get(Module, name);
  let given: SyncHooks | undefined;
  Reflect.set(Module, name, (hooks: SyncHooks) => {
    given = hooks;
    return { deregister: () => {} };
  });
  try {
    register();
  } finally {
    Reflect.set(Module, name, registerHooks);
  }
  if (!given) throw new Error("tsx has registered no hooks");
  return given;
}

/** `tsx`: its hooks, which are loaded when they are first asked for; most pipedefs need none of them. */
export function registerSyncHooks(seen: SeenByHooks, tsx: () => SyncHooks): void {
  const registerHooks: unknown = Reflect.get(Module, "registerHooks");
  if (typeof registerHooks !== "function") throw new Error("this Node has no synchronous hooks");
  const byTsx: SyncHooks["resolve"] = (specifier, context, next) => {
    if (isBuiltin(specifier)) return next(specifier, context);
    if (isOurs(context.parentURL)) {
      const resolved = next(specifier, context);
      // The pipedef, by its whole path. What we and tsx need ourselves comes by here too.
      if (!specifier.startsWith("file:")) return resolved;
      if (moduleFormat(pathOf(resolved.url), resolved.format) === "module") return resolved;
    }
    return tsx().resolve(specifier, context, next);
  };
  const hooks: SyncHooks = {
    resolve(specifier, context, next) {
      // `require` has its own patches.
      if (context.conditions?.includes("require")) return byTsx(specifier, context, next);
      const ours = resolveApi(specifier, apiUrl);
      if (ours === "inside") return next(specifier, { ...context, parentURL: apiUrl });
      if (ours) return ours;
      const importer = context.parentURL?.startsWith("file:") ? pathOf(context.parentURL) : null;
      try {
        const resolved = byTsx(specifier, context, next);
        if (!resolved.url.startsWith("file:")) return resolved;
        const path = pathOf(resolved.url);
        if (importer && isOwnSource(path)) seen.imported(importer, path);
        return { ...resolved, format: moduleFormat(path, resolved.format) };
      } catch (error) {
        const found = findPinned(specifier, importer);
        if (found !== undefined) {
          const url = pathToFileURL(found).href;
          if (importer) seen.imported(importer, found);
          return { url, format: moduleFormat(found, null), shortCircuit: true };
        }
        if (importer) seen.missing(importer, specifier);
        throw error;
      }
    },
    load(url, context, next) {
      if (url.startsWith("node:") || isOurs(url)) return next(url, context);
      if (!url.startsWith("file:") || context.conditions?.includes("require"))
        return tsx().load(url, context, next);
      const path = pathOf(url);
      if (isOwnSource(path)) seen.touch(path);
      switch (loadKind(path, context)) {
        case "transform":
          return { format: "module", source: transform(path), shortCircuit: true };
        case "commonjs": {
          const source = deletedCommonJs(path);
          const format = source === undefined ? "commonjs" : "module";
          return { format, source, shortCircuit: true };
        }
        default: {
          const source = path.endsWith(".json") ? pinnedSource(path) : undefined;
          if (!source) return tsx().load(url, context, next);
          return { format: "json", source: Buffer.from(source).toString(), shortCircuit: true };
        }
      }
    },
  };
  registerHooks(hooks);
}

function isOurs(url: string | undefined): boolean {
  return url?.startsWith("file:") === true && isBuiltMachinery(pathOf(url));
}

let kept: KeptTransforms | undefined;

export function useKept(cacheFolder: string | undefined): void {
  kept = cacheFolder === undefined ? undefined : KeptTransforms.in(cacheFolder);
}

function transform(path: string): string {
  const result = transformSourceSync(path, readSource(path), kept);
  // The boss finds the place of the error; no exception could carry it this well.
  if (!result.ok) throw new SyntaxError(`${path} cannot be transformed`);
  return result.code;
}
