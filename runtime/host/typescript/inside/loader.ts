// Makes this thread able to import any kind of pipedef, and remembers what the import touched.

import Module, { createRequire, isBuiltin, register } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MessageChannel } from "node:worker_threads";
import type * as TsxForCommonJs from "tsx/cjs/api";
import type * as TsxForModules from "tsx/esm/api";
import * as api from "../../../index.js";
import { withoutThreads } from "../without-threads.js";
import type { AskedOfHooks, FromHooks, HookData, ToHooks } from "./hooks.js";
import {
  hooksOf,
  registerSyncHooks,
  type SeenByHooks,
  type SyncHooks,
  tsxHooksAreSync,
} from "./hooks-sync.js";
import type { Link } from "./link.js";
import { apiUrl, isBuiltMachinery } from "./machinery.js";
import { isOwnSource } from "./module-kinds.js";
import { findPinned, patchReadFile, pin } from "./pinned.js";

export interface Loader {
  /** Loads now what most pipedefs do not need. */
  prepare(): Promise<void>;
  /** From now on these are the files by their absolute paths, whatever is on disk. */
  pin(sources: ReadonlyMap<string, Uint8Array>): Promise<void>;
  /** Imports the file and all it imports. */
  load(path: string): Promise<object>;
  /** Answers a `transform` that went out by the link. */
  transformed(id: number, code: Uint8Array | null): void;
  /** The last import nobody could resolve. */
  missing(): { specifier: string; importer: string } | undefined;
  /** Own files in the order in which their code ran. */
  executionOrder(entry: string): string[];
  /** Ends what the hooks' thread started. */
  endChildren(): Promise<void>;
}

const fromHere = createRequire(import.meta.url);

export function prepareLoader(link: Link): Loader {
  const imports = new Map<string, string[]>();
  const touched = new Set<string>();
  let missing: { specifier: string; importer: string } | undefined;
  const waiting = new Map<AskedOfHooks, () => void>();

  function touch(path: string): void {
    if (touched.has(path)) return;
    touched.add(path);
    link.send({ type: "file", path });
  }

  const needsTsx = () => link.send({ type: "needs-tsx" });

  const { port1: hooks, port2 } = new MessageChannel();
  hooks.on("message", (message: FromHooks) => {
    switch (message.type) {
      case "file":
        touch(message.path);
        break;
      case "import":
        pushTo(imports, message.importer, message.path);
        break;
      case "missing":
        missing = message;
        break;
      case "needs-tsx":
        needsTsx();
        break;
      case "transform":
        link.send({ type: "transform", id: message.id, path: message.path }, message.source);
        break;
      case "child":
        link.send(message);
        break;
      case "done":
        waiting.get(message.what)?.();
        break;
    }
  });
  /** Where there is no such thread, there is nothing to wait for. */
  function ask(what: AskedOfHooks): Promise<void> {
    if (sync) return Promise.resolve();
    const done = new Promise<void>((resolve) => {
      waiting.set(what, resolve);
    });
    toHooks({ type: what });
    return done;
  }

  const toHooks = (message: ToHooks) => hooks.postMessage(message);

  const seen: SeenByHooks = {
    touch,
    imported: (importer, path) => pushTo(imports, importer, path),
    missing(importer, specifier) {
      missing = { importer, specifier };
    },
  };
  const sync = tsxHooksAreSync(process.versions.node.split(".").map(Number));
  let tsxHooks: SyncHooks | undefined;
  const addTsx = patchRequire(seen, {
    first() {
      if (sync) tsxHooks = hooksOf(registerTsx);
    },
    needsTsx,
  });
  if (sync) {
    registerSyncHooks(seen, () => {
      if (!tsxHooks) needsTsx();
      addTsx();
      return tsxHooks ?? passOn;
    });
    port2.close();
  } else {
    const data: HookData = { port: port2, apiUrl };
    register("./hooks.js", { parentURL: import.meta.url, data, transferList: [port2] });
  }
  patchReadFile();
  hooks.unref();

  return {
    async prepare() {
      addTsx();
      await ask("prepare");
    },
    async pin(sources) {
      if (sources.size === 0) return;
      pin(sources);
      if (sync) return;
      toHooks({ type: "pin", sources });
      await ask("flush");
    },
    async load(path) {
      try {
        return await import(pathToFileURL(path).href);
      } finally {
        // What the hooks reported may still be on its way when the import has ended.
        await ask("flush");
      }
    },
    transformed: (id, code) => toHooks({ type: "transformed", id, code }),
    missing: () => missing,
    executionOrder: (entry) => postOrder(entry, imports),
    endChildren: () => ask("end-children"),
  };
}

function registerTsx(): void {
  const tsx: typeof TsxForModules = withoutThreads(() => fromHere("tsx/esm/api"));
  tsx.register({ tsconfig: false });
}

/** For what tsx itself requires. */
const passOn: SyncHooks = {
  resolve: (specifier, context, next) => next(specifier, context),
  load: (url, context, next) => next(url, context),
};

/**
 * `require("bettertest")` is the running installation, and required files are reported like imported ones. With the first
 * one comes tsx, for those that are no plain JavaScript, or when the function that is returned is called. `first`: what of
 * tsx is to be there before.
 */
function patchRequire(
  seen: SeenByHooks,
  { first, needsTsx }: { readonly first: () => void; readonly needsTsx: () => void },
): () => void {
  const apiPath = fileURLToPath(apiUrl);
  const loaded = new Module(apiPath);
  loaded.exports = api;
  loaded.loaded = true;
  // No file of that kind can be required; found in the cache, it need not be.
  fromHere.cache[apiPath] = loaded;

  const name = "_resolveFilename";
  let resolve: unknown = Reflect.get(Module, name);
  let hasTsx = false;
  const addTsx = () => {
    if (hasTsx) return;
    hasTsx = true;
    // It patches the same; ours is to be asked first, and before that whatever the pipedef has put there meanwhile.
    const current: unknown = Reflect.get(Module, name);
    Reflect.set(Module, name, resolve);
    try {
      first();
      const tsx: typeof TsxForCommonJs = withoutThreads(() => fromHere("tsx/cjs/api"));
      tsx.register();
      resolve = Reflect.get(Module, name);
    } finally {
      Reflect.set(Module, name, current);
    }
  };
  function patched(this: unknown, ...given: unknown[]): unknown {
    const [specifier, parent] = given;
    if (specifier === "bettertest") return apiPath;
    if (typeof specifier === "string" && isBuiltin(specifier)) return specifier;
    const importer: unknown =
      typeof parent === "object" && parent && Reflect.get(parent, "filename");
    if (!hasTsx && (typeof importer !== "string" || !isBuiltMachinery(importer))) {
      needsTsx();
      addTsx();
    }
    if (typeof resolve !== "function") throw new Error("this Node resolves nothing");
    try {
      const path: unknown = Reflect.apply(resolve, this, given);
      if (typeof path === "string" && isAbsolute(path) && isOwnSource(path) && path !== apiPath) {
        seen.touch(path);
        if (typeof importer === "string") seen.imported(importer, path);
      }
      return path;
    } catch (error) {
      const found = findPinned(String(specifier), typeof importer === "string" ? importer : null);
      if (found !== undefined) return found;
      if (typeof importer === "string") seen.missing(importer, String(specifier));
      throw error;
    }
  }
  Reflect.set(Module, name, patched);
  return addTsx;
}

function pushTo(map: Map<string, string[]>, key: string, value: string): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}

/** A module runs after those it imports, which run in the order of its import lines. */
function postOrder(entry: string, imports: ReadonlyMap<string, readonly string[]>): string[] {
  const order = new Set<string>();
  const entered = new Set<string>();
  const visit = (path: string) => {
    if (entered.has(path)) return;
    entered.add(path);
    for (const imported of imports.get(path) ?? []) visit(imported);
    order.add(path);
  };
  visit(entry);
  return [...order];
}
