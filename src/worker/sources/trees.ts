// The trees a worker knows: of which layers each is made, and who has shown that he holds what is in it. A record is a
// file that appears at once and whole, after the layers that it names.

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rename, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { encodeManifest, isTreeHash, type Manifest, parseManifest } from "../../source/manifest.js";

export interface Tree {
  readonly hash: string;
  /** Names of folders, the upmost first; none where there are no overlays. */
  layers: readonly string[];
  /** Hashes of the keys of those who may name it. */
  readonly keys: Set<string>;
  usedAt: number;
  /** Sandboxes that show it. */
  users: number;
}

const Record = z.object({
  layers: z.array(z.string().regex(/^[\w-]+$/)),
  keys: z.array(z.string()),
});

/** Whole manifests of so many trees are kept at hand. */
const mostAtHand = 4;

export class Trees {
  readonly #folder: string;
  readonly #trees = new Map<string, Tree>();
  readonly #manifests = new Map<string, Manifest>();
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
      return { hash, layers, keys: new Set(keys), usedAt: statSync(path).mtimeMs, users: 0 };
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
  manifestOf(hash: string): Manifest | null {
    const found = this.#manifests.get(hash) ?? this.#readManifest(hash);
    if (found) this.#atHand(hash, found);
    return found;
  }

  #readManifest(hash: string): Manifest | null {
    try {
      const bytes = readFileSync(join(this.#folder, hash));
      const text = bytes.subarray(bytes.indexOf("\n") + 1);
      if (createHash("sha256").update(text).digest("hex") !== hash) return null;
      return parseManifest(text);
    } catch {
      return null;
    }
  }

  #atHand(hash: string, manifest: Manifest): void {
    this.#manifests.delete(hash);
    this.#manifests.set(hash, manifest);
    const [oldest] = this.#manifests.keys();
    if (this.#manifests.size > mostAtHand && oldest !== undefined) this.#manifests.delete(oldest);
  }

  add(hash: string, manifest: Manifest, made: Pick<Tree, "layers" | "keys">): Tree {
    const tree: Tree = { hash, ...made, usedAt: Date.now(), users: 0 };
    this.#trees.set(hash, tree);
    this.#atHand(hash, manifest);
    void this.save(tree);
    return tree;
  }

  /** What it is made of, or whose it is, has changed. Nobody need wait for it: a tree without record is sent again. */
  save(tree: Tree): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      const manifest = this.manifestOf(tree.hash);
      if (!manifest || this.#trees.get(tree.hash) !== tree) return;
      const head = JSON.stringify({ layers: tree.layers, keys: [...tree.keys] });
      const path = join(this.#folder, tree.hash);
      await writeFile(
        `${path}.new`,
        Buffer.concat([Buffer.from(`${head}\n`), encodeManifest(manifest)]),
      );
      await rename(`${path}.new`, path);
    });
    this.#writing = this.#writing.catch(() => {});
    return this.#writing;
  }

  touch(tree: Tree): void {
    tree.usedAt = Date.now();
    const now = new Date();
    void utimes(join(this.#folder, tree.hash), now, now).catch(() => {});
  }

  forget(tree: Tree): void {
    this.#trees.delete(tree.hash);
    this.#manifests.delete(tree.hash);
    this.#writing = this.#writing.then(() => rm(join(this.#folder, tree.hash), { force: true }));
  }

  idle(): Promise<void> {
    return this.#writing;
  }
}

export function newLayerName(): string {
  return randomBytes(4).toString("hex");
}
