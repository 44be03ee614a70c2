// From entries to files below a folder.

import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import {
  type Manifest,
  pathBytes,
  type TreeChanges,
  type TreeEntry,
} from "../../source/manifest.js";
import type { Blobs } from "./blobs.js";

/** Then others have their turn. */
const sliceMs = 15;

/**
 * A whole tree in an empty folder. Its files are those of the store ("link"), or copies of them; of equal ones all but
 * the first are copies in any case: two names of one file would be the same to who sees the tree.
 */
export async function writeTree(
  folder: string,
  manifest: Manifest,
  { blobs, how }: { readonly blobs: Blobs; readonly how: "link" | "copy" },
): Promise<void> {
  const folders: { path: Buffer; mode: number }[] = [];
  const linked = new Set<string>();
  let sliceEnd = performance.now() + sliceMs;
  for (const entry of manifest) {
    const path = pathBytes(folder, entry.path);
    if (entry.kind === "dir") {
      mkdirSync(path, 0o700);
      folders.push({ path, mode: entry.mode });
    } else if (entry.kind === "link") symlinkSync(Buffer.from(entry.target, "latin1"), path);
    else if (how === "copy" || linked.has(entry.hash)) blobs.copy(entry.hash, entry.mode, path);
    else {
      linked.add(entry.hash);
      blobs.link(entry.hash, entry.mode, path);
    }
    if (performance.now() > sliceEnd) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + sliceMs;
    }
  }
  // Last, and from the bottom up: a folder may be one that nobody may write to.
  for (const { path, mode } of folders.reverse()) chmodSync(path, mode);
}

/** Makes one tree of another, where that may be written to. Its files are copies. */
export function writeChanges(folder: string, { removed, set }: TreeChanges, blobs: Blobs): void {
  for (const path of [...removed].reverse()) {
    rmSync(pathBytes(folder, path), { recursive: true, force: true });
  }
  for (const entry of set) writeEntry(pathBytes(folder, entry.path), entry, blobs);
  for (const entry of set) {
    if (entry.kind === "dir") chmodSync(pathBytes(folder, entry.path), entry.mode);
  }
}

function writeEntry(path: Buffer, entry: TreeEntry, blobs: Blobs): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (entry.kind === "dir") {
    if (found && !found.isDirectory()) rmSync(path);
    if (!found?.isDirectory()) mkdirSync(path, 0o700);
    return;
  }
  if (found) rmSync(path, { recursive: true });
  if (entry.kind === "link") symlinkSync(Buffer.from(entry.target, "latin1"), path);
  else blobs.copy(entry.hash, entry.mode, path);
}
