// A working tree as it is this moment. With git: what it tracks, and what it does not know and does not ignore;
// without: everything. A .bettertestignore takes away from either.

import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { listWithGit } from "./git-list.js";
import { type Ignore, parseIgnore } from "./ignore.js";
import {
  changesBetween,
  encodeManifest,
  hashOfText,
  type Manifest,
  pathBytes,
  type TreeChanges,
  type TreeEntry,
} from "./manifest.js";
import type { KnownTree, Stamp, StatCache } from "./stat-cache.js";

export interface Scan {
  readonly hash: string;
  readonly manifest: Manifest;
  /** From what the scan before found, which a worker may still know. */
  readonly since: { readonly base: string; readonly changes: TreeChanges } | null;
  readonly commit: string | null;
  readonly branch: string | null;
  /** Null: there is no repo to differ from. */
  readonly dirty: boolean | null;
  /** Files that had to be read. */
  readonly filesRead: number;
}

export const ignoreFile = ".bettertestignore";

/** A file changed so short a time ago may change once more without that its times tell. */
const unsureMs = 2_000;
/** Then others have their turn: a boss has more to do than to scan. */
const sliceMs = 12;
const pieceBytes = 1 << 20;

/** `git: false`: everything counts, whatever git says. */
export async function scan(
  root: string,
  cache: StatCache,
  { git = true }: { readonly git?: boolean } = {},
): Promise<Scan> {
  const startedAt = Date.now();
  const walk = new Walk(root, await cache.of(root));
  const listing = git ? listGit(root, "", walk) : Promise.resolve(null);
  listing.catch(() => {});
  // While git looks, what was there the last time is looked at here.
  await walk.lookAhead();
  const listed = await listing;
  const paths = listed?.paths ?? (await walk.everything(readIgnore(root)));
  const manifest = await walk.manifestOf(paths, readIgnore(root));
  const text = encodeManifest(manifest);
  const hash = hashOfText(text);
  const { known } = walk;
  cache.keep(root, { hash, manifest, stamps: walk.sureStamps(startedAt - unsureMs) });
  return {
    hash,
    manifest,
    since: known && { base: known.hash, changes: changesBetween(known.manifest, manifest) },
    commit: listed?.commit ?? null,
    branch: listed?.branch ?? null,
    dirty: listed?.dirty ?? null,
    filesRead: walk.filesRead,
  };
}

/** Submodules, and repos inside of the repo, are listed by themselves. */
async function listGit(root: string, below: string, walk: Walk): ReturnType<typeof listWithGit> {
  const folder = below === "" ? root : pathBytes(root, below).toString();
  const listing = await listWithGit(folder);
  // Inside of a repo that ignores it, a folder is its own affair.
  if (!listing || (listing.paths.length === 0 && below === "" && listing.commit !== null))
    return null;
  const paths: string[] = [];
  for (const path of listing.paths) {
    const name = path.endsWith("/") ? path.slice(0, -1) : path;
    const isRepo = walk.stat(below + name)?.isDirectory() && walk.stat(`${below}${name}/.git`);
    const inner = isRepo ? await listGit(root, `${below}${name}/`, walk) : null;
    paths.push(name, ...(inner?.paths ?? []).map((one) => `${name}/${one}`));
  }
  return { ...listing, paths };
}

/** Most names are such that a text and its bytes are one; bytes for each of ten thousand cost as much as the look. */
const plain = /^[\x20-\x7e]*$/;

function statOf(root: string, path: string): Stats | null {
  const where = plain.test(path) ? `${root}/${path}` : pathBytes(root, path);
  return lstatSync(where, { throwIfNoEntry: false }) ?? null;
}

export function readIgnore(root: string): Ignore {
  try {
    return parseIgnore(readFileSync(`${root}/${ignoreFile}`, "latin1"));
  } catch {
    return () => false;
  }
}

/** One scan's way through a tree. */
class Walk {
  readonly known: KnownTree | null;
  filesRead = 0;
  readonly #root: string;
  readonly #stats = new Map<string, Stats | null>();
  readonly #stamps = new Map<string, Stamp>();
  /** Taken again where nothing has changed: one object that is the same is compared at once. */
  readonly #entries = new Map<string, TreeEntry>();
  #sliceEnd = performance.now() + sliceMs;

  constructor(root: string, known: KnownTree | null) {
    this.#root = root;
    this.known = known;
    for (const entry of known?.manifest ?? []) this.#entries.set(entry.path, entry);
  }

  async lookAhead(): Promise<void> {
    for (const { path } of this.known?.manifest ?? []) {
      this.stat(path);
      if (this.#isLong()) await this.#breathe();
    }
  }

  /** Every path below the root, where there is no git to say which count. */
  async everything(ignored: Ignore): Promise<string[]> {
    const paths: string[] = [];
    const folders = [""];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const names = readdirSync(pathBytes(this.#root, folder), {
        encoding: "latin1",
        withFileTypes: true,
      });
      for (const entry of names) {
        const path = folder + entry.name;
        if (entry.name === ".git" || ignored(path, entry.isDirectory())) continue;
        paths.push(path);
        if (entry.isDirectory()) folders.push(`${path}/`);
      }
      if (this.#isLong()) await this.#breathe();
    }
    return paths;
  }

  async manifestOf(paths: readonly string[], ignored: Ignore): Promise<Manifest> {
    const entries = new Map<string, TreeEntry>();
    const folders = new Map<string, boolean>([["", true]]);
    /** Whether it is a folder of the tree, as all above it; told by git's index alone it may be a link by now. */
    const belongs = (folder: string): boolean => {
      const known = folders.get(folder);
      if (known !== undefined) return known;
      const stat = belongs(parentOf(folder)) && !ignored(folder, true) ? this.stat(folder) : null;
      const is = stat?.isDirectory() ?? false;
      folders.set(folder, is);
      if (is) entries.set(folder, this.#folder(folder, stat!.mode & 0o777));
      return is;
    };
    for (const path of paths) {
      if (!belongs(parentOf(path))) continue;
      const stat = this.stat(path);
      if (!stat) continue;
      if (stat.isDirectory()) belongs(path);
      else if (!ignored(path, false)) {
        const made = this.#entry(path, stat);
        const entry = made instanceof Promise ? await made : made;
        if (entry) entries.set(path, entry);
      }
      if (this.#isLong()) await this.#breathe();
    }
    return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #folder(path: string, mode: number): TreeEntry {
    const entry = this.#entries.get(path);
    return entry?.kind === "dir" && entry.mode === mode ? entry : { kind: "dir", path, mode };
  }

  #entry(path: string, stat: Stats): TreeEntry | null | Promise<TreeEntry | null> {
    if (stat.isSymbolicLink()) {
      const target = readlinkSync(pathBytes(this.#root, path), "latin1");
      return { kind: "link", path, target };
    }
    // Sockets, pipes and devices are no files to test.
    if (!stat.isFile()) return null;
    const stamp = stampOf(stat);
    const entry = this.#entries.get(path);
    const before = this.known?.stamps.get(path);
    if (entry?.kind === "file" && before && isSameStamp(stamp, before)) {
      this.#stamps.set(path, before);
      return entry;
    }
    return this.#read(path);
  }

  /** Again while it changes under our hands, so that its size and its hash are of one moment. */
  async #read(path: string): Promise<TreeEntry | null> {
    this.filesRead += 1;
    for (let attempt = 0; ; attempt++) {
      let file: number;
      try {
        file = openSync(pathBytes(this.#root, path), "r");
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
        throw error;
      }
      try {
        const before = fstatSync(file);
        const hash = createHash("sha256");
        const size = await this.#digest(file, before.size, hash);
        const after = fstatSync(file);
        const stamp = stampOf(after);
        const isSteady = size === after.size && isSameStamp(stampOf(before), stamp);
        if (!isSteady && attempt < 10) continue;
        if (!isSteady) throw new Error(`${path} changes faster than it can be read`);
        this.#stamps.set(path, stamp);
        return { kind: "file", path, mode: after.mode & 0o777, size, hash: hash.digest("hex") };
      } finally {
        closeSync(file);
      }
    }
  }

  async #digest(file: number, size: number, hash: Hash): Promise<number> {
    let length = 0;
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, size + 1));
    for (;;) {
      const count = readSync(file, piece, 0, piece.length, null);
      if (count === 0) return length;
      hash.update(piece.subarray(0, count));
      length += count;
      if (length === size && count < piece.length) return length;
      if (this.#isLong()) await this.#breathe();
    }
  }

  sureStamps(before: number): Map<string, Stamp> {
    const sure = new Map<string, Stamp>();
    for (const [path, stamp] of this.#stamps) {
      const [, , , mtimeMs, ctimeMs] = stamp;
      if (Math.max(mtimeMs, ctimeMs) < before) sure.set(path, stamp);
    }
    return sure;
  }

  stat(path: string): Stats | null {
    let stat = this.#stats.get(path);
    if (stat === undefined) {
      stat = statOf(this.#root, path);
      this.#stats.set(path, stat);
    }
    return stat;
  }

  #isLong(): boolean {
    return performance.now() >= this.#sliceEnd;
  }

  async #breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#sliceEnd = performance.now() + sliceMs;
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function isSameStamp(a: Stamp, b: Stamp): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3] && a[4] === b[4];
}

function stampOf({ size, mode, ino, mtimeMs, ctimeMs }: Stats): Stamp {
  return [size, mode, ino, mtimeMs, ctimeMs];
}
