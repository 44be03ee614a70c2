// Makes this thread able to import any kind of pipedef, and remembers what the import touched.

import Module, { createRequire, register } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MessageChannel } from "node:worker_threads";
import { register as registerCommonJs } from "tsx/cjs/api";
import { register as registerModules } from "tsx/esm/api";
import * as api from "../../../index.js";
import type { FromHooks, HookData, ToHooks } from "./hooks.js";
import { registerSyncHooks, type SeenByHooks, tsxHooksAreSync } from "./hooks-sync.js";
import type { Link } from "./link.js";
import { apiUrl } from "./machinery.js";
import { isOwnSource } from "./module-kinds.js";
import { findPinned, patchReadFile, pin } from "./pinned.js";

export interface Loader {
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

export function prepareLoader(link: Link): Loader {
  const imports = new Map<string, string[]>();
  const touched = new Set<string>();
  let missing: { specifier: string; importer: string } | undefined;
  let childrenEnded = () => {};
  let flushed = () => {};

  function touch(path: string): void {
    if (touched.has(path)) return;
    touched.add(path);
    link.send({ type: "file", path });
  }

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
      case "transform":
        link.send({ type: "transform", id: message.id, path: message.path }, message.source);
        break;
      case "child":
        link.send(message);
        break;
      case "flushed":
        flushed();
        break;
      case "ended-children":
        childrenEnded();
        break;
    }
  });
  function flush(): Promise<void> {
    if (sync) return Promise.resolve();
    const done = new Promise<void>((resolve) => {
      flushed = resolve;
    });
    toHooks({ type: "flush" });
    return done;
  }

  const toHooks = (message: ToHooks) => hooks.postMessage(message);

  registerModules({ tsconfig: false });
  const seen: SeenByHooks = {
    touch,
    imported: (importer, path) => pushTo(imports, importer, path),
    missing(importer, specifier) {
      missing = { importer, specifier };
    },
  };
  const sync = tsxHooksAreSync(process.versions.node.split(".").map(Number));
  if (sync) {
    registerSyncHooks(seen);
    port2.close();
  } else {
    const data: HookData = { port: port2, apiUrl };
    register("./hooks.js", { parentURL: import.meta.url, data, transferList: [port2] });
  }
  patchReadFile();
  registerCommonJs();
  patchRequire(seen);
  hooks.unref();

  return {
    async pin(sources) {
      if (sources.size === 0) return;
      pin(sources);
      if (sync) return;
      toHooks({ type: "pin", sources });
      await flush();
    },
    async load(path) {
      try {
        return await import(pathToFileURL(path).href);
      } finally {
        // What the hooks reported may still be on its way when the import has ended.
        await flush();
      }
    },
    transformed: (id, code) => toHooks({ type: "transformed", id, code }),
    missing: () => missing,
    executionOrder: (entry) => postOrder(entry, imports),
    endChildren() {
      if (sync) return Promise.resolve();
      const ended = new Promise<void>((done) => {
        childrenEnded = done;
      });
      toHooks({ type: "end-children" });
      return ended;
    },
  };
}

/** `require("bettertest")` is the running installation, and required files are reported like imported ones. */
function patchRequire(seen: SeenByHooks): void {
  const apiPath = fileURLToPath(apiUrl);
  const loaded = new Module(apiPath);
  loaded.exports = api;
  loaded.loaded = true;
  // No file of that kind can be required; found in the cache, it need not be.
  createRequire(import.meta.url).cache[apiPath] = loaded;

  const resolve: unknown = Reflect.get(Module, "_resolveFilename");
  if (typeof resolve !== "function") return;
  Reflect.set(Module, "_resolveFilename", function (this: unknown, ...given: unknown[]) {
    const [specifier, parent] = given;
    if (specifier === "bettertest") return apiPath;
    const importer: unknown =
      typeof parent === "object" && parent && Reflect.get(parent, "filename");
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
  });
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
