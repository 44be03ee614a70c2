// TypeScript to JavaScript, in the boss: its one esbuild process stays warm, so a saved pipedef is back in
// milliseconds, and no thread has an esbuild child of its own to leave behind.

import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import type * as esbuild from "esbuild";
import { handOverClasses } from "./declared-classes.js";
import type { KeptTransform, KeptTransforms } from "./kept-transforms.js";
import { withoutThreads } from "./without-threads.js";

export type TransformResult =
  | { readonly ok: true; readonly code: string; readonly warnings: readonly SourceNote[] }
  | { readonly ok: false; readonly error: SourceNote };

/** What esbuild says about a place in a source file. */
export interface SourceNote {
  /** esbuild's name for this kind of warning; empty for an error. */
  readonly id: string;
  readonly text: string;
  readonly file: string;
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
  readonly sourceLine?: string;
  /** Of a duplicate: the line of the first. */
  readonly firstLine?: number;
}

const target = `node${process.versions.node}`;

const fromHere = createRequire(import.meta.url);

let loaded: typeof esbuild | undefined;

/** Loaded by the first file that it is asked for. */
function transformer(): typeof esbuild {
  loaded ??= withoutThreads(() => fromHere("esbuild") as typeof esbuild);
  return loaded;
}

type Options = ReturnType<typeof optionsFor>;

/** All but the source that the result depends on. esbuild itself is not loaded to hear its version. */
const howTo = (options: Options) => [fromHere("esbuild/package.json").version, options];

export async function transformSource(
  path: string,
  source: Uint8Array,
  kept?: KeptTransforms,
): Promise<TransformResult> {
  const options = optionsFor(path);
  const make = () => transformer().transform(source, options);
  try {
    const made = kept ? kept.of(howTo(options), source, make) : make();
    return transformed(path, await made);
  } catch (error) {
    return failed(path, error);
  }
}

/** Starts an esbuild for this file alone, and waits for it. What the boss has kept is found, and nothing added. */
export function transformSourceSync(
  path: string,
  source: Uint8Array,
  kept?: KeptTransforms,
): TransformResult {
  const options = optionsFor(path);
  try {
    const found = kept?.findSync(howTo(options), source);
    return transformed(path, found ?? transformer().transformSync(source, options));
  } catch (error) {
    return failed(path, error);
  }
}

function optionsFor(path: string) {
  return {
    loader: loaderOf(path),
    // A URL, so that a "#" or "%" in a folder's name survives the source map.
    sourcefile: pathToFileURL(path).href,
    sourcemap: "inline",
    sourcesContent: false,
    format: isCommonJs(path) ? "cjs" : "esm",
    target,
    logLevel: "silent",
    // Anything at all keeps a tsconfig from mattering.
    tsconfigRaw: "{}",
  } satisfies esbuild.TransformOptions;
}

function transformed(path: string, result: KeptTransform): TransformResult {
  return {
    ok: true,
    code: isCommonJs(path) ? result.code : handOverClasses(result.code),
    warnings: result.warnings.map((warning) => sourceNote(path, warning)),
  };
}

function failed(path: string, error: unknown): TransformResult {
  const first = isTransformFailure(error) ? error.errors[0] : undefined;
  if (first) return { ok: false, error: sourceNote(path, first) };
  return { ok: false, error: { id: "", text: String(error), file: path } };
}

function isCommonJs(path: string): boolean {
  return /\.c[jt]s$/.test(path);
}

function loaderOf(path: string): esbuild.Loader {
  if (path.endsWith(".json")) return "json";
  if (path.endsWith(".tsx")) return "tsx";
  if (path.endsWith(".jsx")) return "jsx";
  return /\.[cm]?ts$/.test(path) ? "ts" : "js";
}

function isTransformFailure(error: unknown): error is esbuild.TransformFailure {
  return error instanceof Error && "errors" in error && Array.isArray(error.errors);
}

function sourceNote(path: string, { id, text, location, notes }: esbuild.Message): SourceNote {
  const first = notes[0]?.location;
  return {
    id,
    text,
    file: path,
    ...(first && { firstLine: first.line }),
    ...(location && {
      line: location.line,
      column: columnOf(location),
      sourceLine: location.lineText,
    }),
  };
}

/** esbuild counts bytes; people count characters. */
function columnOf({ column, lineText }: esbuild.Location): number {
  return Buffer.from(lineText).subarray(0, column).toString().length + 1;
}
