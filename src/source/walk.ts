// One scan's way through a working tree: each file is looked at once, and read only where it has to be.

import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { codeOf } from "../lib/code-of.js";
import type { Ignore } from "./ignore.js";
import { ListedTree } from "./listed-tree.js";
import { pathBytes, type TreeEntry } from "./manifest.js";
import { type KnownTree, type Stamp, Stamps } from "./stat-cache.js";

/** Then others have their turn: a boss has more to do than to scan. */
const sliceMs = 12;
const pieceBytes = 1 << 20;

export class Walk {
  readonly tree: ListedTree;
  filesRead = 0;
  /** How each file looked that was read. */
  readonly stamps = new Map<string, Stamp>();
  readonly #root: string;
  readonly #known: Stamps;
  readonly #stats = new Map<string, Stats | null>();
  #sliceEnd = performance.now() + sliceMs;

  constructor(root: string, known: KnownTree | null) {
    this.#root = root;
    this.tree = known?.tree ?? ListedTree.empty;
    this.#known = known?.stamps ?? Stamps.none(0);
  }

  /** What is most likely to be asked for. */
  async lookAhead(isNeeded: (entry: number) => boolean): Promise<void> {
    for (const [entry, path] of this.tree.paths.entries()) {
      if (!isNeeded(entry)) continue;
      this.stat(path);
      if (this.isLong) await this.pause();
    }
  }

  /** Nothing else is mounted in it. */
  isOneDisk(): boolean {
    const own = lstatSync(`${this.#root}/`).dev;
    return this.tree.paths.every(
      (path, entry) => !this.tree.isFolder(entry) || (this.stat(path)?.dev ?? own) === own,
    );
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
      if (this.isLong) await this.pause();
    }
    return paths;
  }

  /** A folder that holds more than a `.git`. */
  hasFiles(folder: string): boolean {
    try {
      return readdirSync(pathBytes(this.#root, folder)).some((name) => name !== ".git");
    } catch {
      // It was there a moment ago.
      return false;
    }
  }

  get looked(): number {
    return this.#stats.size;
  }

  stat(path: string): Stats | null {
    let stat = this.#stats.get(path);
    if (stat === undefined) {
      stat = statOf(this.#root, path);
      this.#stats.set(path, stat);
    }
    return stat;
  }

  /** A number: it is just that entry of the known tree. Null: nothing to test. */
  entry(path: string, stat: Stats): number | TreeEntry | null | Promise<TreeEntry | null> {
    if (stat.isSymbolicLink()) {
      const target = readlinkSync(pathBytes(this.#root, path), "latin1");
      return { kind: "link", path, target };
    }
    // Sockets, pipes and devices are no files to test.
    if (!stat.isFile()) return null;
    const known = this.tree.indexOf(path);
    const isKnown = known >= 0 && this.tree.isFile(known) && this.#known.isAt(known, stampOf(stat));
    return isKnown ? known : this.#read(path);
  }

  /** Again while it changes under our hands, so that its size and its hash are of one moment. */
  async #read(path: string): Promise<TreeEntry | null> {
    this.filesRead += 1;
    for (let attempt = 0; ; attempt++) {
      let file: number;
      try {
        file = openSync(pathBytes(this.#root, path), "r");
      } catch (error) {
        if (codeOf(error) === "ENOENT") return null;
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
        this.stamps.set(path, stamp);
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
      if (this.isLong) await this.pause();
    }
  }

  get isLong(): boolean {
    return performance.now() >= this.#sliceEnd;
  }

  async pause(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#sliceEnd = performance.now() + sliceMs;
  }
}

/** Most names are such that a text and its bytes are one; bytes for each of ten thousand cost as much as the look. */
const plain = /^[\x20-\x7e]*$/;

/** Null: nothing is there. */
export function statOf(root: string, path: string): Stats | null {
  const where = plain.test(path) ? `${root}/${path}` : pathBytes(root, path);
  try {
    return lstatSync(where, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    // What was a folder above it is a file by now, or a link to itself.
    if (["ENOTDIR", "ELOOP"].includes(codeOf(error))) return null;
    throw error;
  }
}

function isSameStamp(a: Stamp, b: Stamp): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2] && a[3] === b[3] && a[4] === b[4];
}

function stampOf({ size, mode, ino, mtimeMs, ctimeMs }: Stats): Stamp {
  return [size, mode, ino, mtimeMs, ctimeMs];
}
