// What kind of module a file is, when no package.json need say so.

/** The running installation answers for these, whatever lies in the repo's node_modules. */
export const apiSpecifier = /^bettertest(\/|$)/;

/** Written by the pipedef's author: worth watching, locating, transforming. */
export function isOwnSource(path: string): boolean {
  return !/[\\/]node_modules[\\/]/.test(path);
}

export function isJson(path: string): boolean {
  return path.endsWith(".json");
}

export function isScript(path: string): boolean {
  return /\.(?:[cm]?ts|tsx)$/.test(path) || (/\.(?:m?js|jsx)$/.test(path) && isOwnSource(path));
}

/**
 * Without a "type" in a package.json, Node counts .ts and .js as CommonJS. Here such a file is an ES module
 * if it is written as one; only what plainly is CommonJS stays that.
 */
export function wantsModule(
  path: string,
  format: string | null | undefined,
  sourceOf: (path: string) => string,
): boolean {
  if (!isScript(path) || !isOwnSource(path) || /\.c[jt]s$/.test(path)) return false;
  if (format === "module-typescript" || /\.m[jt]s$/.test(path)) return true;
  let source: string;
  try {
    source = sourceOf(path);
  } catch {
    return false;
  }
  return !isCommonJs(source);
}

function isCommonJs(source: string): boolean {
  if (/^\s*(?:import\b(?!\s*\()|export\b)/m.test(source)) return false;
  return /\bmodule\.exports\b|\bexports\.\w|\brequire\s*\(/.test(source);
}
