// A working tree as it is this moment. With git: what it tracks, and what it does not know and does not ignore;
// without: everything. A .bettertestignore takes away from either.

import { readFileSync } from "node:fs";
import { GitLook } from "./git-look.js";
import { type Ignore, parseIgnore } from "./ignore.js";
import type { Manifest, TreeChanges, TreeEntry } from "./manifest.js";
import { clockStart, isSameClock, Stamps, type StatCache } from "./stat-cache.js";
import { Walk } from "./walk.js";

export interface FoundTree {
  readonly hash: string;
  readonly manifest: Manifest;
  /** How many there are that are no folders. */
  readonly files: number;
  /** From what the scan before found, which a worker may still know. */
  readonly since: { readonly base: string; readonly changes: TreeChanges } | null;
}

export interface Scan extends FoundTree {
  readonly commit: string | null;
  readonly branch: string | null;
  /** Null: there is no repo to differ from. */
  readonly dirty: boolean | null;
  /** Files that had to be read. */
  readonly filesRead: number;
  /** Files and folders that were looked at, where git did not vouch for them. */
  readonly looked: number;
}

export const ignoreFile = ".bettertestignore";

/** A file changed so short a time ago may change once more without that its times tell. */
const unsureMs = 2_000;

/** A scan whose first part is under way: git looks by itself. */
export interface BegunScan {
  readonly at: number;
  readonly sureBefore: number;
  readonly clock: number;
  readonly look: GitLook | null;
}

export function beginScan(root: string, git = true): BegunScan {
  const sureBefore = Date.now() - unsureMs;
  const look = git ? new GitLook(root, sureBefore) : null;
  return { at: performance.now(), sureBefore, clock: clockStart(), look };
}

/** Files that are saved meanwhile are missed, as those are that are saved while a scan is under way. */
const longestBegunMs = 500;

export interface ScanOptions {
  /** False: everything counts, whatever git says. */
  readonly git?: boolean;
  readonly begun?: BegunScan | undefined;
  /** Called once the tree is known; what git calls it takes longer. */
  readonly onTree?: (tree: FoundTree) => void;
}

export async function scan(
  root: string,
  cache: StatCache,
  { git = true, begun, onTree }: ScanOptions = {},
): Promise<Scan> {
  const isOfNow = begun && performance.now() - begun.at < longestBegunMs;
  const { sureBefore, clock, look } = isOfNow ? begun : beginScan(root, git);
  const known = await cache.of(root);
  const words = ignoreWords(root);
  const walk = new Walk(root, known);

  // 1. While git looks, what is not for it to say is looked at here.
  const isComparable = known?.words === words && isSameClock(known.clock, clock);
  const vouched = look?.vouchedFor(isComparable ? known : null) ?? null;
  await walk.lookAhead((entry) => vouched?.[entry] !== 1);

  // 2. What differs from the tree before.
  const sight = (await look?.seen(walk)) ?? null;
  const ignored = parseIgnore(words);
  const paths = sight?.paths ?? (await walk.everything(ignored));
  const changes = await changesIn(walk, paths, { ignored, kept: vouched });

  // 3. The tree, and what is sure of its files from now on.
  const { tree, runs } = walk.tree.with(changes);
  const found: FoundTree = {
    hash: tree.hash,
    get manifest() {
      return tree.manifest;
    },
    files: tree.files,
    since: known && { base: known.tree.hash, changes },
  };
  if (onTree) {
    onTree(found);
    // What that sends is on its way first: to start git stops everything here for some milliseconds.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const telling = sight?.revision();
  const stamps = Stamps.none(tree.paths.length);
  if (known) for (const run of runs) stamps.take(known.stamps, run);
  for (const [path, stamp] of walk.stamps) {
    const entry = tree.indexOf(path);
    if (entry >= 0) stamps.set(entry, stamp);
  }
  stamps.forgetFrom(sureBefore);
  const revision = (await telling) ?? { commit: null, branch: null, dirty: null };
  cache.keep(root, { tree, stamps, words, clock, index: look?.indexOf(tree, runs) ?? null });
  const { commit, branch, dirty } = revision;
  const { filesRead, looked } = walk;
  return Object.assign(found, { commit, branch, dirty, filesRead, looked });
}

interface Belonging {
  readonly ignored: Ignore;
  /** For each entry of the known tree: 1, where it is as it was. */
  readonly kept: Uint8Array | null;
}

/** From the known tree to that of the paths, and of the entries that are kept. */
async function changesIn(
  walk: Walk,
  paths: readonly string[],
  { ignored, kept }: Belonging,
): Promise<TreeChanges> {
  const { tree } = walk;
  const reached = new Map<string, boolean>([["", true]]);
  /** Whether it is a folder, as all above it; told by git's index alone it may be a link by now. */
  const isFolder = (path: string): boolean => {
    const found = reached.get(path);
    if (found !== undefined) return found;
    const is =
      isFolder(parentOf(path)) && !ignored(path, true) && (walk.stat(path)?.isDirectory() ?? false);
    reached.set(path, is);
    return is;
  };
  const folders = new Set<string>();
  const addFolder = (path: string) => {
    for (let one = path; one !== "" && !folders.has(one); one = parentOf(one)) folders.add(one);
  };

  const { paths: known } = tree;
  const stays = new Uint8Array(known.length);
  let parent: string | null = null;
  for (let entry = 0; entry < known.length; entry++) {
    if (kept?.[entry] !== 1) continue;
    const path = known[entry]!;
    // Neighbours lie in one folder, mostly.
    if (parent === null || !isIn(parent, path)) {
      const above = parentOf(path);
      if (!isFolder(above)) continue;
      addFolder(above);
      parent = above;
    }
    stays[entry] = 1;
  }

  const set = new Map<string, TreeEntry>();
  for (const path of paths) {
    if (walk.isLong) await walk.pause();
    const parent = parentOf(path);
    if (!isFolder(parent)) continue;
    const stat = walk.stat(path);
    if (!stat) continue;
    if (stat.isDirectory()) {
      if (isFolder(path)) addFolder(path);
      continue;
    }
    if (ignored(path, false)) continue;
    const made = walk.entry(path, stat);
    const entry = made instanceof Promise ? await made : made;
    if (entry === null) continue;
    addFolder(parent);
    const place = typeof entry === "number" ? entry : tree.indexOf(path);
    if (typeof entry === "number" || (place >= 0 && tree.isAt(place, entry))) stays[place] = 1;
    else set.set(path, entry);
  }

  for (const path of folders) {
    const entry: TreeEntry = { kind: "dir", path, mode: walk.stat(path)!.mode & 0o777 };
    const place = tree.indexOf(path);
    if (place >= 0 && tree.isAt(place, entry)) stays[place] = 1;
    else set.set(path, entry);
  }
  return {
    removed: known.filter((path, entry) => stays[entry] !== 1 && !set.has(path)),
    set: [...set.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** As `parentOf(path) === folder`, and makes no text of it. */
function isIn(folder: string, path: string): boolean {
  const slash = path.lastIndexOf("/");
  return folder === "" ? slash < 0 : slash === folder.length && path.startsWith(folder);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Where there are none: "". */
function ignoreWords(root: string): string {
  try {
    return readFileSync(`${root}/${ignoreFile}`, "latin1");
  } catch {
    return "";
  }
}

export function readIgnore(root: string): Ignore {
  return parseIgnore(ignoreWords(root));
}
