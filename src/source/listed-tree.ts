// A tree as its canonical text, with where each entry is in it. So a tree that differs in one entry from another is
// made of two pieces of that one's text and a line, and nothing is made of ten thousand entries that nobody looks at.

import {
  BadManifest,
  encodeEntry,
  hashOfText,
  isSafePath,
  type Manifest,
  parseChanges,
  parseManifest,
  type TreeChanges,
  type TreeEntry,
} from "./manifest.js";

/** Entries that one tree has of another, one after the other. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

export class ListedTree {
  static readonly empty = new ListedTree("", new Uint32Array(1), []);

  /** Byte strings, as all of them: each character is a byte. */
  readonly text: string;
  /** Sorted. */
  readonly paths: readonly string[];
  /** Where each entry begins, and where the last one ends. */
  readonly #starts: Uint32Array;
  #hash: string | null = null;
  #manifest: Manifest | null = null;

  private constructor(text: string, starts: Uint32Array, paths: readonly string[]) {
    this.text = text;
    this.#starts = starts;
    this.paths = paths;
  }

  /** Checked as a whole. */
  static parse(bytes: Uint8Array): ListedTree {
    const manifest = parseManifest(bytes);
    const tree = ListedTree.trusted(textOf(bytes));
    tree.#manifest = manifest;
    return tree;
  }

  /** Of a text that we have made ourselves, whose hash says that it is still the same. */
  static trusted(text: string, hash: string | null = null): ListedTree {
    const starts: number[] = [0];
    const paths: string[] = [];
    for (let at = 0; at < text.length; ) {
      const isLink = text[at] === "l";
      const pathAt = isLink ? at + 2 : pathStart(text, at);
      const pathEnd = text.indexOf("\0", pathAt);
      paths.push(text.slice(pathAt, pathEnd));
      at = (isLink ? text.indexOf("\0", pathEnd + 1) : pathEnd) + 1;
      starts.push(at);
    }
    const tree = new ListedTree(text, Uint32Array.from(starts), paths);
    tree.#hash = hash;
    return tree;
  }

  get hash(): string {
    this.#hash ??= hashOfText(Buffer.from(this.text, "latin1"));
    return this.#hash;
  }

  get manifest(): Manifest {
    this.#manifest ??= parseManifest(Buffer.from(this.text, "latin1"));
    return this.#manifest;
  }

  /** How many entries are no folders. */
  get files(): number {
    let files = 0;
    for (let index = 0; index < this.paths.length; index++) files += this.isFolder(index) ? 0 : 1;
    return files;
  }

  isFolder(index: number): boolean {
    return this.text[this.#starts[index]!] === "d";
  }

  isFile(index: number): boolean {
    return this.text[this.#starts[index]!] === "f";
  }

  at(index: number): TreeEntry {
    const [entry] = parseChanges(Buffer.from(this.#textAt(index), "latin1")).set;
    return entry!;
  }

  /** Whether that entry is in the tree just so. */
  isAt(index: number, entry: TreeEntry): boolean {
    return this.#textAt(index) === encodeEntry(entry);
  }

  #textAt(index: number): string {
    return this.text.slice(this.#starts[index], this.#starts[index + 1]);
  }

  /** -1: it has none of that path. */
  indexOf(path: string): number {
    const index = this.#after(path, 0);
    return this.paths[index] === path ? index : -1;
  }

  /** The first of those that are below it. */
  firstBelow(folder: string): string | null {
    const path = this.paths[this.#after(`${folder}/`, 0)];
    return path?.startsWith(`${folder}/`) ? path : null;
  }

  /** The first entry that does not come before the path. */
  #after(path: string, from: number): number {
    let low = from;
    let high = this.paths.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.paths[middle]! < path) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Another tree, checked as far as it is another. */
  with({ removed, set }: TreeChanges): { readonly tree: ListedTree; readonly runs: Run[] } {
    const ops: { path: string; entry: TreeEntry | null }[] = [];
    for (const path of removed) ops.push({ path, entry: null });
    for (const entry of set) ops.push({ path: entry.path, entry });
    // What is removed and set is set: that comes last of the two, for sorting keeps the order of equals.
    ops.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));

    const runs: Run[] = [];
    const pieces: string[] = [];
    const paths: string[] = [];
    const starts: number[] = [];
    let length = 0;
    let old = 0;
    const keepUntil = (end: number) => {
      if (end > old) {
        const from = this.#starts[old]!;
        runs.push({ from: old, to: paths.length, count: end - old });
        pieces.push(this.text.slice(from, this.#starts[end]));
        for (let index = old; index < end; index++) {
          paths.push(this.paths[index]!);
          starts.push(this.#starts[index]! - from + length);
        }
        length += this.#starts[end]! - from;
      }
      old = end;
    };
    for (const [at, { path, entry }] of ops.entries()) {
      if (ops[at + 1]?.path === path) {
        if (entry) throw new BadManifest(`twice: ${JSON.stringify(path)}`);
        continue;
      }
      const index = this.#after(path, old);
      keepUntil(index);
      if (this.paths[index] === path) old += 1;
      if (!entry) continue;
      const line = encodeEntry(entry);
      pieces.push(line);
      paths.push(path);
      starts.push(length);
      length += line.length;
    }
    keepUntil(this.paths.length);
    starts.push(length);
    const tree = new ListedTree(pieces.join(""), Uint32Array.from(starts), paths);
    this.#check(tree, ops);
    return { tree, runs };
  }

  /** What was set is below folders of the new tree, and below what is no folder any more nothing is. */
  #check(tree: ListedTree, ops: readonly { path: string; entry: TreeEntry | null }[]): void {
    const folders = new Set([""]);
    const isFolder = (path: string): boolean => {
      if (folders.has(path)) return true;
      const index = tree.indexOf(path);
      if (index < 0 || !tree.isFolder(index)) return false;
      folders.add(path);
      return true;
    };
    for (const { path, entry } of ops) {
      if (entry && !isSafePath(path)) throw new BadManifest(`no path: ${JSON.stringify(path)}`);
      const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
      const lost =
        entry && !isFolder(parent) ? path : isFolder(path) ? null : tree.firstBelow(path);
      if (lost !== null) throw new BadManifest(`not below a folder: ${JSON.stringify(lost)}`);
    }
  }
}

function pathStart(text: string, at: number): number {
  const afterMode = text.indexOf(" ", at + 2) + 1;
  if (text[at] === "d") return afterMode;
  const hashLength = 64;
  return text.indexOf(" ", afterMode) + 1 + hashLength + 1;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
