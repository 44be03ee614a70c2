// What kind of module a file is, when no package.json need say so. Both kinds of hooks go by this.

import { fileURLToPath } from "node:url";
import { readSource } from "./pinned.js";

/** Written by the pipedef's author: worth watching, locating, transforming. */
export function isOwnSource(path: string): boolean {
  return !/[\\/]node_modules[\\/]/.test(path);
}

/**
 * The running installation answers for "bettertest", whatever lies in the repo's node_modules. "inside":
 * for a path below it, resolved as if the installation itself had asked.
 */
export function resolveApi(
  specifier: string,
  apiUrl: string,
): { url: string; format: "module"; shortCircuit: true } | "inside" | undefined {
  if (specifier === "bettertest") return { url: apiUrl, format: "module", shortCircuit: true };
  return specifier.startsWith("bettertest/") ? "inside" : undefined;
}

/**
 * Without a "type" in a package.json, Node counts .ts and .js as CommonJS. Here such a file is an ES module
 * if it is written as one; only what plainly is CommonJS stays that.
 */
export function moduleFormat<Format extends string>(
  path: string,
  format: Format | null | undefined,
): Format | "module" | "commonjs" | null | undefined {
  if (format === "module" || !isScript(path) || !isOwnSource(path)) return format;
  if (/\.c[jt]s$/.test(path)) return "commonjs";
  if (format === "module-typescript" || /\.m[jt]s$/.test(path)) return "module";
  let source: string;
  try {
    source = Buffer.from(readSource(path)).toString();
  } catch {
    return format;
  }
  return isCommonJs(source) ? "commonjs" : "module";
}

/**
 * "commonjs" is handed to Node without a source: then it goes its own way for CommonJS, where `require` is
 * the one that is patched and tsx transforms.
 */
export function loadKind(
  path: string,
  context: {
    readonly format?: string | null | undefined;
    readonly importAttributes?: { readonly type?: string | undefined } | undefined;
  },
): "transform" | "commonjs" | "as it is" {
  if (context.format === "commonjs" && isOwnSource(path)) return "commonjs";
  if (path.endsWith(".json")) {
    return context.importAttributes?.type === "json" ? "as it is" : "transform";
  }
  return context.format === "module" && isScript(path) ? "transform" : "as it is";
}

export function pathOf(url: string): string {
  const bare = new URL(url);
  bare.search = "";
  bare.hash = "";
  return fileURLToPath(bare);
}

function isScript(path: string): boolean {
  return /\.(?:[cm]?ts|tsx)$/.test(path) || (/\.(?:[cm]?js|jsx)$/.test(path) && isOwnSource(path));
}

function isCommonJs(source: string): boolean {
  if (/^\s*(?:import\b(?!\s*\()|export\b)/m.test(source)) return false;
  return /\bmodule\.exports\b|\bexports\.\w|\brequire\s*\(/.test(source);
}
