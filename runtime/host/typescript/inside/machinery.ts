// Which code is bettertest's own or its loader's, so that no author has to read about it.

import { sep } from "node:path";
import { fileURLToPath } from "node:url";

const installation = fileURLToPath(new URL("../../../../../", import.meta.url));

// Source maps make frames of the compiled files look like frames of their sources.
const folders = ["dist", "runtime", "src"].map((folder) => `${installation}${folder}${sep}`);

export const apiUrl = new URL("../../../index.js", import.meta.url).href;

export function isMachinery(path: string): boolean {
  return folders.some((folder) => path.startsWith(folder)) || isLoader(path);
}

/** The files themselves. */
export function isBuiltMachinery(path: string): boolean {
  return path.startsWith(`${installation}dist${sep}`) || isLoader(path);
}

function isLoader(path: string): boolean {
  return /[\\/]node_modules[\\/](?:tsx|esbuild)[\\/]/.test(path);
}
