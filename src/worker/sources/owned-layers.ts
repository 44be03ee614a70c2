// Layers for commands of other users. Each lies over one layer of a tree, and of all that is in that one it holds
// nothing but another owner: contents stay where they are (metacopy). Made once, in time that grows with the layer;
// after that, a task of that user sees the tree as fast as any other.

import { chmodSync, lchownSync, lstatSync, readdirSync, type Stats } from "node:fs";
import { lchown, lstat, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathBytes } from "../../source/manifest.js";
import type { MountPoint } from "./layers.js";
import { unmount } from "./overlay.js";

/** Of files, by number. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Then others have their turn. */
const sliceMs = 15;

export class OwnedLayers {
  readonly #folder: string;
  readonly #mountPoint: () => Promise<MountPoint>;
  /** By the layer below each, and then by owner. */
  readonly #made = new Map<string, Map<string, Promise<string>>>();

  constructor(folder: string, mountPoint: () => Promise<MountPoint>) {
    this.#folder = folder;
    this.#mountPoint = mountPoint;
  }

  /** The same layers, which are pinned, with those between them that make them the owner's. */
  async over(layers: readonly string[], owner: Owner): Promise<string[]> {
    let stack: string[] = [];
    for (const layer of [...layers].reverse()) {
      stack = [await this.#of(layer, owner, stack), layer, ...stack];
    }
    return stack;
  }

  /** With the layer itself. */
  async remove(layer: string): Promise<void> {
    const made = [...(this.#made.get(layer)?.values() ?? [])];
    this.#made.delete(layer);
    for (const name of made) {
      const path = await name.then((done) => join(this.#folder, done)).catch(() => null);
      if (path !== null) await rm(path, { recursive: true, force: true });
    }
  }

  #of(layer: string, owner: Owner, below: readonly string[]): Promise<string> {
    const made = this.#made.get(layer) ?? new Map<string, Promise<string>>();
    this.#made.set(layer, made);
    const key = `${owner.uid}.${owner.gid}`;
    let making = made.get(key);
    if (!making) {
      making = this.#make(layer, owner, below);
      made.set(key, making);
      making.catch(() => made.delete(key));
    }
    return making;
  }

  async #make(layer: string, owner: Owner, below: readonly string[]): Promise<string> {
    const name = `${layer}.${owner.uid}.${owner.gid}`;
    const { path, upper, mount, release } = await this.#mountPoint();
    try {
      await mount([layer, ...below], { isOwned: true });
      await giveAll(join(this.#folder, layer), path, owner);
      await unmount("/", path);
      await rename(upper, join(this.#folder, name));
      return name;
    } finally {
      await release();
    }
  }
}

/** Of what is at `target`, all that has a name below `like`; the two may be the same. */
export async function giveAll(like: string, target: string, owner: Owner): Promise<void> {
  let sliceEnd = performance.now() + sliceMs;
  const visit = async (path: string): Promise<void> => {
    const source = path === "" ? Buffer.from(like) : pathBytes(like, path);
    const stat = lstatSync(source);
    // An overlay's word for what is gone.
    if (stat.isCharacterDevice()) return;
    give(path === "" ? Buffer.from(target) : pathBytes(target, path), stat, owner);
    if (performance.now() > sliceEnd) {
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + sliceMs;
    }
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(source, "latin1")) {
      await visit(path === "" ? name : `${path}/${name}`);
    }
  };
  await visit("");
}

function give(path: Buffer, stat: Stats, { uid, gid }: Owner): void {
  lchownSync(path, uid, gid);
  // The kernel takes these bits away with the owner.
  if (stat.isFile() && (stat.mode & 0o6000) !== 0) chmodSync(path, stat.mode & 0o7777);
}

/** What a cache has brought to a path in a folder, and the folders on the way to it. Follows no link. */
export async function givePath(folder: string, path: string, owner: Owner): Promise<void> {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  let at = folder;
  for (const [index, name] of names.entries()) {
    at = join(at, name);
    const stat = await lstat(at).catch(() => null);
    if (!stat) return;
    const isOwned = stat.uid === owner.uid;
    if (index === names.length - 1) {
      // One that was saved by such a command is that user's already, as a whole.
      if (!isOwned) await giveAll(at, at, owner);
    } else if (!isOwned) await lchown(at, owner.uid, owner.gid);
    if (!stat.isDirectory()) return;
  }
}
