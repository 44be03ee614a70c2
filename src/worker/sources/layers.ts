// The layers of source trees, and the folders in which they lie over each other.
//
// Layers are written once and never again: a whole tree as hard links to contents, or copies of what differs from another
// tree. Where something of that one is gone, this is written into an overlay over it, so that the kernel itself says so.
// A whole tree lies over nothing, so no content is linked twice below one mount, where both would be one file.

import { readdirSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import type { ListedTree } from "../../source/listed-tree.js";
import type { Manifest, TreeChanges, TreeEntry } from "../../source/manifest.js";
import type { Blobs } from "./blobs.js";
import { mountOverlay, unmount, unmountAll } from "./overlay.js";
import { OwnedLayers, type Owner } from "./owned-layers.js";
import { newLayerName } from "./trees.js";
import { writeChanges, writeTree } from "./write-tree.js";

export interface LayersOptions {
  /** The store's. */
  readonly folder: string;
  readonly blobs: Blobs;
  /** Those that a tree is made of, or is going to be. */
  readonly named: () => ReadonlySet<string>;
  readonly log: (line: string) => void;
}

/** Folders of this machine that lie over or below the layers, on the same disk; the last one is the lowest. */
export interface Around {
  readonly over: readonly string[];
  readonly under: readonly string[];
}

export interface MountOptions extends Partial<Around> {
  /** The layers are those of `ownedBy`. */
  readonly isOwned?: boolean;
}

/** From one tree to another. */
export interface Delta {
  readonly before: ListedTree;
  readonly changes: TreeChanges;
  readonly after: ListedTree;
}

/** A private layer over others. */
export interface MountPoint {
  readonly path: string;
  /** What was written at `path` since it was mounted. */
  readonly upper: string;
  /** The last of `layers` is the lowest. */
  mount(layers: readonly string[], options?: MountOptions): Promise<void>;
  release(): Promise<void>;
}

export class Layers {
  readonly #options: LayersOptions;
  readonly #folder: string;
  readonly #pinned = new Map<string, number>();
  readonly #background = new Set<Promise<unknown>>();
  readonly #owned: OwnedLayers;
  #mountPoints = 0;

  constructor(options: LayersOptions) {
    this.#options = options;
    this.#folder = options.folder;
    this.#owned = new OwnedLayers(join(options.folder, "layers"), () => this.mountPoint());
  }

  names(): string[] {
    return readdirSync(join(this.#folder, "layers"));
  }

  async makeWhole(manifest: Manifest): Promise<string> {
    const name = newLayerName();
    const aside = join(this.#folder, "incoming", name);
    await mkdir(aside, { mode: 0o755 });
    await writeTree(aside, manifest, { blobs: this.#options.blobs, how: "link" });
    await rename(aside, join(this.#folder, "layers", name));
    return name;
  }

  /** One more over those of a tree, which are pinned. */
  makeDelta(below: readonly string[], delta: Delta): Promise<string[]> {
    return hidesNothing(delta) ? this.#addOver(below, delta) : this.#changeOver(below, delta);
  }

  /** Nothing need be mounted: where there are two, the kernel shows the upper file, and both folders as one. */
  async #addOver(below: readonly string[], { changes, after }: Delta): Promise<string[]> {
    const name = newLayerName();
    const aside = join(this.#folder, "incoming", name);
    await mkdir(aside, { mode: 0o755 });
    const { blobs } = this.#options;
    await writeTree(aside, withFolders(changes.set, after), { blobs, how: "copy" });
    await rename(aside, join(this.#folder, "layers", name));
    return [name, ...below];
  }

  async #changeOver(below: readonly string[], { changes }: Delta): Promise<string[]> {
    const name = newLayerName();
    const { path, upper, mount, release } = await this.mountPoint();
    try {
      await mount(below);
      writeChanges(path, changes, this.#options.blobs);
      await unmount("/", path);
      await rename(upper, join(this.#folder, "layers", name));
      return [name, ...below];
    } finally {
      await release();
    }
  }

  /** For a mount in which all is another user's than the worker's. The layers are pinned. */
  ownedBy(owner: Owner, layers: readonly string[]): Promise<string[]> {
    return this.#owned.over(layers, owner);
  }

  async mountPoint(): Promise<MountPoint> {
    this.#mountPoints += 1;
    const target = `mounts/${this.#mountPoints}`;
    const own = `private/${this.#mountPoints}`;
    const path = join(this.#folder, target);
    const upper = join(this.#folder, own, "upper");
    await mkdir(path, { mode: 0o755 });
    await mkdir(join(this.#folder, own));
    await mkdir(upper, { mode: 0o755 });
    await mkdir(join(this.#folder, own, "work"));
    return {
      path,
      upper,
      mount: (layers, { over = [], under = [], isOwned = false } = {}) =>
        mountOverlay(this.#folder, {
          lower: [
            ...over.map((folder) => relative(this.#folder, folder)),
            ...layers.map((layer) => `layers/${layer}`),
            ...under.map((folder) => relative(this.#folder, folder)),
          ],
          upper: `${own}/upper`,
          work: `${own}/work`,
          target,
          metacopy: isOwned,
        }),
      release: async () => {
        await unmountAll(path);
        await rm(path, { recursive: true, force: true });
        await rm(join(this.#folder, own), { recursive: true, force: true });
      },
    };
  }

  /** Keeps them until the function it gives is called. */
  pin(layers: readonly string[]): () => void {
    for (const layer of layers) this.#pinned.set(layer, (this.#pinned.get(layer) ?? 0) + 1);
    return () => {
      for (const layer of layers) this.#pinned.set(layer, this.#pinned.get(layer)! - 1);
      this.aside(() => this.removeUnused(layers));
    };
  }

  /** Those of them that no tree is made of and nobody has pinned. */
  async removeUnused(layers: readonly string[]): Promise<void> {
    for (const layer of layers) {
      // Asked for each: the removal of the one before may have taken a while.
      if (this.#pinned.get(layer) || this.#options.named().has(layer)) continue;
      this.#pinned.delete(layer);
      await this.#owned.remove(layer);
      await rm(join(this.#folder, "layers", layer), { recursive: true, force: true });
    }
  }

  /** Work that nobody waits for but `idle`. */
  aside(work: () => Promise<unknown>): void {
    const doing = work()
      .catch((error: Error) => this.#options.log(`store of sources: ${error.message}`))
      .finally(() => this.#background.delete(doing));
    this.#background.add(doing);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#background);
  }
}

/** Nothing that was there is gone, nor is a folder where there was something else, or the other way round. */
function hidesNothing({ before, changes: { removed, set } }: Delta): boolean {
  if (removed.length > 0) return false;
  return set.every(({ kind, path }) => {
    const index = before.indexOf(path);
    return index < 0 || before.isFolder(index) === (kind === "dir");
  });
}

/** And the folders above, since those of an upper layer say how all of them look. */
function withFolders(entries: Manifest, tree: ListedTree): Manifest {
  const all = new Map<string, TreeEntry>();
  for (const entry of entries) {
    all.set(entry.path, entry);
    for (let end = entry.path.lastIndexOf("/"); end > 0; ) {
      const folder = entry.path.slice(0, end);
      if (all.has(folder)) break;
      all.set(folder, tree.at(tree.indexOf(folder)));
      end = folder.lastIndexOf("/");
    }
  }
  return [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}
