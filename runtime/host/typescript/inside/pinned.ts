// Files whose content counts as it was when the run began, whatever is on disk by now. Empty for a run that
// has just begun. Every thread that loads modules has its own copy of this module, and is told.

import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

let pinned: ReadonlyMap<string, Uint8Array> = new Map();

export function pin(sources: ReadonlyMap<string, Uint8Array>): void {
  pinned = sources;
}

export function pinnedSource(path: string): Uint8Array | undefined {
  return pinned.get(path);
}

export function readSource(path: string): Uint8Array {
  return pinned.get(path) ?? fs.readFileSync(path);
}

/** For a module of CommonJS that is deleted, which Node would not find when it is imported: one that requires it. */
export function deletedCommonJs(path: string): string | undefined {
  if (!pinned.has(path) || fs.existsSync(path)) return undefined;
  const name = JSON.stringify(path);
  return `import { createRequire } from "node:module";\nexport default createRequire(${name})(${name});\n`;
}

/** Modules of CommonJS are read by Node itself, with this function. */
export function patchReadFile(): void {
  const original = fs.readFileSync;
  const patched = (path: unknown, options?: unknown): unknown => {
    const source = typeof path === "string" ? pinned.get(path) : undefined;
    if (!source) return Reflect.apply(original, fs, [path, options]);
    const encoding =
      typeof options === "object" && options ? Reflect.get(options, "encoding") : options;
    const bytes = Buffer.from(source);
    return typeof encoding === "string" ? bytes.toString(encoding as BufferEncoding) : bytes;
  };
  Reflect.set(fs, "readFileSync", patched);
  syncBuiltinESMExports();
}

const endings = ["", ".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", ".jsx", ".json"];

/** What an import means that finds nothing on disk any more. */
export function findPinned(specifier: string, importer: string | null): string | undefined {
  if (pinned.size === 0) return undefined;
  let base: string;
  if (specifier.startsWith("file:")) base = fileURLToPath(specifier);
  else if (specifier.startsWith("/")) base = specifier;
  else if (specifier.startsWith(".") && importer) base = resolve(dirname(importer), specifier);
  else return undefined;
  const withoutEnding = base.replace(/\.([cm]?)js(x?)$/, ".$1ts$2");
  return [base, withoutEnding, `${base}/index`]
    .flatMap((path) => endings.map((ending) => path + ending))
    .find((path) => pinned.has(path));
}
