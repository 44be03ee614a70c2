// Checks caches as a pipedef asks for them.

import { cachePathProblem, hashFilesText } from "../src/lib/cache-words.js";
import { patternProblem } from "../src/lib/file-pattern.js";

export interface CheckedCache {
  readonly key: string;
  readonly restoreKeys?: string[];
  readonly paths: string[];
}

const fields = ["key", "paths", "restoreKeys"];

export function checkedCaches(value: unknown): CheckedCache[] {
  const caches: unknown[] = Array.isArray(value) ? value : [value];
  if (caches.length === 0 || caches.length > 10)
    throw new TypeError("run: cache must be one, or a list of at most 10");
  return caches.map(checkedCache);
}

function checkedCache(value: unknown): CheckedCache {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      'run: cache must be { key, paths }, such as { key: hashFiles("package-lock.json"), paths: ["node_modules"] }',
    );
  }
  const { key, paths, restoreKeys }: { readonly [name: string]: unknown } = { ...value };
  const unknown = Object.keys(value).find((name) => !fields.includes(name));
  if (unknown !== undefined)
    throw new TypeError(`run: cache has no "${unknown}". There are: ${fields.join(", ")}`);
  const folders = texts("paths", typeof paths === "string" ? [paths] : paths, 20);
  if (folders.length === 0) throw new TypeError("run: cache.paths must name a folder");
  for (const path of folders) {
    const problem = cachePathProblem(path);
    if (problem !== null)
      throw new TypeError(`run: cache.paths ${problem}, not ${JSON.stringify(path)}`);
  }
  const [name] = texts("key", [key], 1);
  const beginnings =
    restoreKeys === undefined
      ? []
      : texts("restoreKeys", typeof restoreKeys === "string" ? [restoreKeys] : restoreKeys, 10);
  return {
    key: name!,
    ...(beginnings.length > 0 && { restoreKeys: beginnings }),
    paths: folders,
  };
}

function texts(field: string, value: unknown, most: number): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > most)
    throw new TypeError(`run: cache.${field} must hold at most ${most} texts`);
  return list.map((text) => {
    if (typeof text === "string" && text !== "" && text.length <= 2_000 && !/[\0\r\n]/.test(text))
      return text;
    throw new TypeError(
      `run: cache.${field} must be a text of one line, not ${
        typeof text === "string" ? JSON.stringify(text.slice(0, 200)) : String(text)
      }`,
    );
  });
}

export function checkedHashFiles(patterns: readonly unknown[]): string {
  if (patterns.length === 0) throw new TypeError("hashFiles: name at least one file");
  const checked = patterns.map((pattern) => {
    const problem = typeof pattern === "string" ? patternProblem(pattern) : "must be a text";
    if (problem !== null)
      throw new TypeError(`hashFiles: ${problem}, not ${JSON.stringify(pattern)}`);
    return String(pattern);
  });
  return hashFilesText(checked);
}
