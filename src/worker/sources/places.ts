// The folders in which sandboxes see sources: overlays over the layers of a tree, or private copies where there are none.

import { existsSync, readdirSync, rmSync } from "node:fs";
import { chmod, chown, lstat, realpath, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { codeOf } from "../../lib/code-of.js";
import { meets } from "../../source/meets.js";
import { copy } from "../caches/copy.js";
import type { Blobs } from "./blobs.js";
import type { Layers } from "./layers.js";
import { giveAll, givePath, type Owner } from "./owned-layers.js";
import { SourceFault, type SourceName } from "./source-name.js";
import type { Tree, Trees } from "./trees.js";
import { writeTree } from "./write-tree.js";

/**
 * Of a file where a sandbox sees its source: whether a command has written it. With a hash: not, where it has that one. For
 * then it lies there as it was, or was written with the same bytes within the second after it was laid out, which cannot
 * be told where there is no overlay.
 */
export type FileOrigin = "command" | "source" | { readonly sourceIfHash: string };

/** Where a sandbox sees its source. Order: fill, once, at any time; release, always. */
export interface SourcePlace {
  /** A folder that is there from the start, and shows the tree once it is filled, also to those who see it already. */
  readonly path: string;
  /** It will be shown by a mount over the folder. */
  readonly isMounted: boolean;
  /** `owner`: of all that is in it, where that is not the worker's user. */
  fill(source: SourceName, more?: readonly SourceLayer[], owner?: Owner | null): Promise<void>;
  /** Of a file of the folder, by its path there. `modifiedAt`: absent: unknown. */
  originOf(path: string, modifiedAt: number | undefined): Promise<FileOrigin>;
  /** Of the file at that path in the source; null: there is none. */
  hashOf(path: string): string | null;
  release(): Promise<void>;
}

/** What a sandbox finds beside its source. Where the two have the same name, that of the source counts. */
export interface SourceLayer {
  /** On the disk of the store. */
  readonly folder: string;
  /** What is in it, relative to the source. */
  readonly paths: readonly string[];
}

export interface PlacesOptions {
  readonly layers: Layers;
  readonly trees: Trees;
  readonly blobs: Blobs;
  /** The tree, where whoever asks may name it. */
  readonly find: (source: SourceName) => Tree | undefined;
  /** Why each place gets a copy; null: overlays work. */
  readonly overlayProblem: string | null;
  readonly log: (line: string) => void;
}

/** Clocks of files go in steps. */
export const clockStepMs = 1_000;

export class Places {
  readonly #options: PlacesOptions;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  async place(): Promise<SourcePlace> {
    const { path, upper, mount, release } = await this.#options.layers.mountPoint();
    let tree: Tree | undefined;
    let filledAt = 0;
    let unpin = () => {};
    const hashOf = (file: string) => {
      const manifest = tree && this.#options.trees.manifestOf(tree.hash);
      const name = Buffer.from(file).toString("latin1");
      const entry = manifest?.find((one) => one.path === name);
      return entry?.kind === "file" ? entry.hash : null;
    };
    return {
      path,
      isMounted: this.#options.overlayProblem === null,
      fill: async (source, more = [], owner = null) => {
        tree = this.#options.find(source);
        if (!tree) throw new SourceFault(`the worker has no source tree ${source.tree} (any more)`);
        tree.users += 1;
        this.#options.trees.touch(tree);
        const { layers } = tree;
        unpin = this.#options.layers.pin(layers);
        if (this.#options.overlayProblem === null) {
          const manifest = more.length > 0 ? (this.#options.trees.manifestOf(tree.hash) ?? []) : [];
          // A layer of the source may say that a folder is gone, and so would hide it: it lies on top where it can.
          const isApart = ({ paths }: SourceLayer) => !meets(manifest, paths);
          const all = owner ? await this.#options.layers.ownedBy(owner, layers) : layers;
          if (owner) await chown(upper, owner.uid, owner.gid);
          await mount(all, {
            isOwned: owner !== null,
            over: more.filter(isApart).map(({ folder }) => folder),
            under: more.filter((layer) => !isApart(layer)).map(({ folder }) => folder),
          });
          const brought = owner ? more.flatMap(({ paths }) => paths) : [];
          for (const one of brought) await givePath(path, one, owner!);
        } else {
          const manifest = this.#options.trees.manifestOf(tree.hash);
          if (!manifest)
            throw new SourceFault(`the record of source tree ${tree.hash} cannot be read`);
          // An engine may have made folders in it already.
          for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true });
          await writeTree(path, manifest, { blobs: this.#options.blobs, how: "copy" });
          if (more.length > 0) {
            const items = more.map(({ folder }) => ({ from: folder, to: path }));
            await copy({ kind: "copy", items, maxBytes: Number.MAX_SAFE_INTEGER, keep: true });
          }
          // Who is not root can give nothing away.
          if (owner && process.getuid?.() === 0) await giveAll(path, path, owner);
        }
        filledAt = Date.now();
      },
      originOf: async (file, modifiedAt = filledAt) => {
        // Whatever is written goes to the upper layer, by its own path, which one through a link is not.
        if (this.#options.overlayProblem === null) {
          const isOwn =
            (await leadsElsewhere(path, dirname(file))) || !(await isMissing(join(upper, file)));
          return isOwn ? "command" : "source";
        }
        const sourceIfHash = modifiedAt > filledAt + clockStepMs ? null : hashOf(file);
        return sourceIfHash === null ? "command" : { sourceIfHash };
      },
      hashOf,
      release: async () => {
        await release().catch((error: Error) => {
          this.#options.log(`could not remove ${path}: ${error.message}`);
        });
        if (tree) tree.users -= 1;
        tree = undefined;
        unpin();
        unpin = () => {};
      },
    };
  }

  /** A folder of one sandbox's own, which at first holds what another one does that nobody writes to. */
  async folder(like: string | null): Promise<Pick<SourcePlace, "path" | "release">> {
    const point = await this.#options.layers.mountPoint();
    const release = () =>
      point.release().catch((error: Error) => {
        this.#options.log(`could not remove ${point.path}: ${error.message}`);
      });
    try {
      // Whoever the command runs as.
      if (like === null || !existsSync(like)) await chmod(point.path, 0o777);
      else if (this.#options.overlayProblem !== null) {
        await rm(point.path, { recursive: true });
        const items = [{ from: like, to: point.path }];
        await copy({ kind: "copy", items, maxBytes: Number.MAX_SAFE_INTEGER });
      } else {
        const { mode, uid, gid } = await stat(like);
        await chown(point.upper, uid, gid);
        await chmod(point.upper, mode & 0o7777);
        await point.mount([], { over: [like], under: [] });
      }
      return { path: point.path, release };
    } catch (error) {
      await release();
      throw error;
    }
  }
}

/** Where nobody knows, it is not. */
async function isMissing(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return false;
  } catch (error) {
    return ["ENOENT", "ENOTDIR"].includes(codeOf(error));
  }
}

async function leadsElsewhere(root: string, folder: string): Promise<boolean> {
  try {
    return (await realpath(join(root, folder))) !== join(await realpath(root), folder);
  } catch {
    return true;
  }
}
