// The trees a worker knows: of which layers each is made, and who has shown that he holds what is in it. A record is a
// file that appears at once and whole, after the layers that it names.

import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { ListedTree } from "../../source/listed-tree.js";
import { isTreeHash, type Manifest } from "../../source/manifest.js";

export interface Tree {
  readonly hash: string;
  /** Names of folders, the upmost first; none where there are no overlays. */
  layers: readonly string[];
  /** Hashes of the keys of those who may name it. */
  readonly keys: Set<string>;
  usedAt: number;
  /** Commands that name it, and sandboxes that show it. */
  users: number;
  /** All its contents have been found in the store, which keeps them as long as it has the tree. */
  isWhole: boolean;
}

const Record = z.object({
  layers: z.array(z.string().regex(/^[\w-]+$/)),
  keys: z.array(z.string()),
});

/** The lists of so many trees are kept at hand. */
const mostAtHand = 4;

export class Trees {
  readonly #folder: string;
  readonly #trees = new Map<string, Tree>();
  readonly #lists = new Map<string, ListedTree>();
  /** Those of trees whose record is not written yet; it may never be, on a full disk. */
  readonly #unwritten = new Map<string, ListedTree>();
  /** One after the other, so that the last word on a tree is the last one written. */
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = join(folder, "trees");
    mkdirSync(this.#folder, { recursive: true });
    for (const name of readdirSync(this.#folder)) {
      if (!isTreeHash(name)) continue;
      const tree = this.#load(name);
      if (tree) this.#trees.set(name, tree);
    }
  }

  #load(hash: string): Tree | null {
    try {
      const path = join(this.#folder, hash);
      const bytes = readFileSync(path);
      const head: unknown = JSON.parse(bytes.toString("utf8", 0, bytes.indexOf("\n")));
      const { layers, keys } = Record.parse(head);
      const usedAt = statSync(path).mtimeMs;
      return { hash, layers, keys: new Set(keys), usedAt, users: 0, isWhole: false };
    } catch {
      return null;
    }
  }

  get(hash: string): Tree | undefined {
    return this.#trees.get(hash);
  }

  all(): Tree[] {
    return [...this.#trees.values()];
  }

  /** Null where its record cannot be read any more. */
  listOf(hash: string): ListedTree | null {
    const found = this.#lists.get(hash) ?? this.#unwritten.get(hash) ?? this.#readList(hash);
    if (found) this.#atHand(found);
    return found;
  }

  manifestOf(hash: string): Manifest | null {
    return this.listOf(hash)?.manifest ?? null;
  }

  #readList(hash: string): ListedTree | null {
    try {
      const bytes = readFileSync(join(this.#folder, hash));
      const list = ListedTree.parse(bytes.subarray(bytes.indexOf("\n") + 1));
      return list.hash === hash ? list : null;
    } catch {
      return null;
    }
  }

  #atHand(list: ListedTree): void {
    this.#lists.delete(list.hash);
    this.#lists.set(list.hash, list);
    const [oldest] = this.#lists.keys();
    if (this.#lists.size > mostAtHand && oldest !== undefined) this.#lists.delete(oldest);
  }

  /** Its contents are here. */
  add(list: ListedTree, made: Pick<Tree, "layers" | "keys">): Tree {
    const { hash } = list;
    const tree: Tree = { hash, ...made, usedAt: Date.now(), users: 0, isWhole: true };
    this.#trees.set(hash, tree);
    this.#unwritten.set(hash, list);
    void this.save(tree);
    return tree;
  }

  /** What it is made of, or whose it is, has changed. Nobody need wait for it: a tree without record is sent again. */
  save(tree: Tree): Promise<void> {
    return this.#write(async () => {
      const list = this.listOf(tree.hash);
      if (!list || this.#trees.get(tree.hash) !== tree) return;
      const head = JSON.stringify({ layers: tree.layers, keys: [...tree.keys] });
      const path = join(this.#folder, tree.hash);
      await writeFile(`${path}.new`, `${head}\n${list.text}`, "latin1");
      await rename(`${path}.new`, path);
      // Else it was forgotten meanwhile, and perhaps added again.
      if (this.#trees.get(tree.hash) === tree) this.#unwritten.delete(tree.hash);
    });
  }

  #write(work: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(work).catch(() => {});
    return this.#writing;
  }

  touch(tree: Tree): void {
    tree.usedAt = Date.now();
    const now = new Date();
    void utimes(join(this.#folder, tree.hash), now, now).catch(() => {});
  }

  forget(tree: Tree): void {
    this.#trees.delete(tree.hash);
    this.#lists.delete(tree.hash);
    this.#unwritten.delete(tree.hash);
    void this.#write(() => rm(join(this.#folder, tree.hash), { force: true }));
  }

  idle(): Promise<void> {
    return this.#writing;
  }
}

export function newLayerName(): string {
  return randomBytes(4).toString("hex");
}
