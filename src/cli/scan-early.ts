// Git looks at the repo while this program loads what else it needs.

import { resolve } from "node:path";
import { repoRoot } from "../../runtime/host/repo-root.js";
import { type BegunScan, beginScan } from "../source/scan.js";
import { wasScanned } from "../source/stat-cache.js";
import { cacheFolder } from "./cache-folder.js";

/** Where the last run asked for the working tree, this one will most likely, too. */
export function beginScanEarly(pipedef: string): BegunScan | undefined {
  const root = repoRoot(resolve(pipedef));
  return wasScanned(cacheFolder(), root) ? beginScan(root) : undefined;
}
