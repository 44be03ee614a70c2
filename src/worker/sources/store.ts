// The worker's store of sources: contents, trees made of them, and the folders in which sandboxes see them.
//
//   blobs/      contents, see blobs.ts                    layers/    read-only folders, see layers.ts
//   trees/      records, see trees.ts                     mounts/    what sandboxes see, a folder each
//   incoming/   on its way; removed at a start            private/   what they write
//   lock        of the worker whose store this is         boot       while it is open, see boot-mark.ts

import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, realpathSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { takeLock } from "../../lib/owner-lock.js";
import { formatBytes } from "../../lib/units.js";
import { ListedTree } from "../../source/listed-tree.js";
import {
  BadManifest,
  contentsOf,
  type FileEntry,
  type Manifest,
  pathBytes,
  type TreeChanges,
} from "../../source/manifest.js";
import { type PackedFile, pack, unpack } from "../../source/pack.js";
import { Blobs, LostContent } from "./blobs.js";
import { BootMark } from "./boot-mark.js";
import { ContentTaker } from "./content-taker.js";
import { type Delta, Layers } from "./layers.js";
import { overlayProblem, share, unmountAll } from "./overlay.js";
import { Places, type SourcePlace } from "./places.js";
import { SourceFault, type SourceName } from "./source-name.js";
import { type Tree, Trees } from "./trees.js";

export interface SourceStoreOptions {
  readonly folder: string;
  readonly maxBytes: number;
  readonly log: (line: string) => void;
  /** Private copies even where overlays can be mounted. */
  readonly copy?: boolean;
}

export type TreeAnswer =
  | { readonly status: "ready" }
  | { readonly status: "unknown-base" }
  /** Contents that must come first, in the order of the tree. */
  | { readonly status: "lacking"; readonly missing: string[] };

interface Offer extends Delta {
  readonly base: Tree | null;
  readonly missing: Map<string, FileEntry>;
  readonly keys: Set<string>;
  /** Resolves when there is room for what is missing. */
  room: Promise<void>;
}

/** A tree that the worker itself reads, for a command that holds it. */
export interface BorrowedTree {
  readonly hash: string;
  readonly manifest: Manifest;
  /** Where a content of it lies. */
  pathOf(hash: string): string;
}

/** What was used so short a time ago may be named again before one can tell. */
const recentMs = 10 * 60_000;
/** A tree on more layers is made one, aside. */
const manyLayers = 16;
/** The kernel takes some hundred; the page of their names fewer. */
const mostLayers = 48;
/** Above, links to all cost less than writing what has changed. */
const mostChanges = 1_000;
const mostOffers = 100;

interface OpenFolder {
  readonly folder: string;
  /** Why overlays cannot be mounted in it. */
  readonly problem: string | null;
  readonly mark: BootMark;
  readonly unlock: () => void;
}

export class SourceStore {
  readonly #options: SourceStoreOptions;
  readonly #folder: string;
  readonly #blobs: Blobs;
  readonly #trees: Trees;
  readonly #offers = new Map<string, Offer>();
  readonly #building = new Map<string, Promise<Tree>>();
  readonly #layers: Layers;
  readonly #places: Places;
  readonly #mark: BootMark;
  readonly #unlock: () => void;
  /** Why each task gets a copy; null: overlays work. */
  readonly overlayProblem: string | null;

  private constructor(options: SourceStoreOptions, { folder, problem, mark, unlock }: OpenFolder) {
    this.#options = options;
    this.#folder = folder;
    this.#mark = mark;
    this.#unlock = unlock;
    this.overlayProblem = problem;
    this.#trees = new Trees(folder);
    this.#blobs = new Blobs(folder, () => {
      for (const tree of this.#trees.all()) tree.isWhole = false;
    });
    this.#layers = new Layers({
      folder,
      blobs: this.#blobs,
      named: () => this.#namedLayers(),
      log: options.log,
    });
    this.#places = new Places({
      layers: this.#layers,
      trees: this.#trees,
      blobs: this.#blobs,
      find: (source) => this.#usable(source),
      overlayProblem: problem,
      log: options.log,
    });
  }

  /** Null: another worker uses that folder. */
  static async open(options: SourceStoreOptions): Promise<SourceStore | null> {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const folder = realpathSync(options.folder);
    const lock = takeLock(join(folder, "lock"));
    if (!lock.ok) return null;
    try {
      const mark = new BootMark(folder);
      if (!mark.isOld) mark.set();
      await unmountAll(join(folder, "mounts"));
      // They can be made anew, and nothing says whether they are whole.
      for (const name of mark.isOld ? ["layers", "trees"] : [])
        await rm(join(folder, name), { recursive: true, force: true });
      mkdirSync(join(folder, "layers"), { recursive: true });
      for (const name of ["mounts", "private"]) {
        await rm(join(folder, name), { recursive: true, force: true });
        await mkdir(join(folder, name));
      }
      const problem = options.copy ? "copies were asked for" : await overlayProblem(folder);
      if (problem === null) await share(join(folder, "mounts"));
      const store = new SourceStore(options, { folder, problem, mark, unlock: lock.release });
      await store.#removeStrayLayers();
      if (mark.isOld) await store.#keepWhatHolds();
      return store;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** After the machine went down. Who is killed in the middle of it begins anew at the next start. */
  async #keepWhatHolds(): Promise<void> {
    const { log } = this.#options;
    log("the machine went down while the store of sources was open: reading all that is in it");
    const wrong = await this.#blobs.verify();
    for (const hash of wrong) this.#blobs.remove(hash);
    this.#mark.set();
    log(`${wrong.length} contents of sources were lost; all others are kept`);
  }

  /** Layers that no record names, and records that name layers which are not there. */
  async #removeStrayLayers(): Promise<void> {
    const found = new Set(this.#layers.names());
    for (const tree of this.#trees.all()) {
      const isWhole = tree.layers.every((layer) => found.has(layer));
      const fits = this.overlayProblem !== null || tree.layers.length > 0;
      if (!isWhole || !fits) this.#trees.forget(tree);
    }
    await this.#layers.removeUnused([...found]);
  }

  #namedLayers(): Set<string> {
    const trees = this.#trees.all();
    const bases = [...this.#offers.values()].flatMap(({ base }) => base ?? []);
    return new Set([...trees, ...bases].flatMap(({ layers }) => layers));
  }

  /** Whoever tells every content of a tree may name it; what is missing is to be sent then. */
  async offer(
    { tree: hash, key }: SourceName,
    { base: baseHash, changes }: { readonly base: string | null; readonly changes: TreeChanges },
  ): Promise<TreeAnswer> {
    const keyHash = hashOfKey(key);
    const known = this.#wholeTree(hash);
    if (known?.keys.has(keyHash)) {
      this.#trees.touch(known);
      return { status: "ready" };
    }
    const base = baseHash === null ? null : (this.#usable({ tree: baseHash, key }) ?? null);
    const before = base ? this.#trees.listOf(base.hash) : ListedTree.empty;
    if ((baseHash !== null && !base) || !before) return { status: "unknown-base" };
    const { tree: after } = before.with(changes);
    if (after.hash !== hash) throw new BadManifest(`the entries make another tree than ${hash}`);
    if (known) {
      known.keys.add(keyHash);
      void this.#trees.save(known);
      return { status: "ready" };
    }
    const offer = this.#offers.get(hash) ?? this.#begin({ before, after, base, changes });
    offer.keys.add(keyHash);
    await offer.room;
    return this.#answer(hash);
  }

  /** Only of such a tree it is said that it is here. What has lost something is to be offered anew. */
  #wholeTree(hash: string): Tree | undefined {
    const tree = this.#trees.get(hash);
    if (!tree || this.#isWhole(tree)) return tree;
    this.#forget(tree);
    return undefined;
  }

  #forget(tree: Tree): void {
    this.#trees.forget(tree);
    this.#layers.aside(() => this.#layers.removeUnused(tree.layers));
  }

  #begin(asked: Pick<Offer, "before" | "after" | "base" | "changes">): Offer {
    const { after, base, changes } = asked;
    const { hash } = after;
    const missing = this.#missingOf(base && this.#isWhole(base) ? changes.set : after.manifest);
    const offer: Offer = { ...asked, missing, keys: new Set(), room: Promise.resolve() };
    // Before there is room: what it rests on is its own from now on, whoever else makes room meanwhile.
    this.#offers.set(hash, offer);
    offer.room = this.#makeRoom(offer).catch((error: unknown) => {
      this.#offers.delete(hash);
      throw error;
    });
    if (this.#offers.size > mostOffers) {
      const oldest = [...this.#offers.keys()].find((one) => !this.#building.has(one));
      if (oldest !== undefined) this.#offers.delete(oldest);
    }
    return offer;
  }

  #missingOf(entries: Manifest): Map<string, FileEntry> {
    const missing = contentsOf(entries);
    for (const [content, { size }] of missing)
      if (this.#blobs.has(content, size)) missing.delete(content);
    return missing;
  }

  #isWhole(tree: Tree): boolean {
    const manifest = tree.isWhole ? [] : this.#trees.manifestOf(tree.hash);
    tree.isWhole = manifest !== null && this.#missingOf(manifest).size === 0;
    return tree.isWhole;
  }

  /** Contents of a tree that was offered. What has come of a stream that is cut is kept. */
  async receive(
    { tree: hash, key }: SourceName,
    stream: AsyncIterable<Uint8Array>,
  ): Promise<TreeAnswer> {
    const offer = this.#offers.get(hash);
    if (!offer?.keys.has(hashOfKey(key))) {
      return this.knows({ tree: hash, key }) ? { status: "ready" } : { status: "unknown-base" };
    }
    const taker = new ContentTaker(offer.missing, this.#blobs);
    try {
      await unpack(stream, taker);
    } finally {
      taker.close();
    }
    return this.#answer(hash);
  }

  async #answer(hash: string): Promise<TreeAnswer> {
    const offer = this.#offers.get(hash);
    if (offer) {
      if (offer.missing.size > 0) return { status: "lacking", missing: [...offer.missing.keys()] };
      // Whoever offers it anew is asked for what was lost.
      await this.#build(hash, offer).catch((error: unknown) => {
        if (!(error instanceof LostContent)) throw error;
      });
    }
    return { status: this.#trees.get(hash) ? "ready" : "unknown-base" };
  }

  #build(hash: string, offer: Offer): Promise<Tree> {
    let building = this.#building.get(hash);
    if (!building) {
      // Until the tree names them itself: the one below may become a single layer meanwhile.
      const unpin = this.#layers.pin(offer.base?.layers ?? []);
      building = this.#makeLayers(offer)
        .then((layers) => this.#trees.add(offer.after, { layers, keys: offer.keys }))
        .finally(() => {
          this.#offers.delete(hash);
          this.#building.delete(hash);
          unpin();
        });
      this.#building.set(hash, building);
      void building.then((tree) => this.#flattenAside(tree)).catch(() => {});
    }
    return building;
  }

  async #makeLayers(offer: Offer): Promise<string[]> {
    if (this.overlayProblem !== null) return [];
    const { base, changes, after } = offer;
    const isSmall = changes.set.length + changes.removed.length <= mostChanges;
    if (base && isSmall && base.layers.length < mostLayers)
      return this.#layers.makeDelta(base.layers, offer);
    return [await this.#layers.makeWhole(after.manifest)];
  }

  /** A tree of many layers becomes one of one, for those who name it from then on. */
  #flattenAside(tree: Tree): void {
    if (tree.layers.length < manyLayers) return;
    this.#layers.aside(async () => {
      const manifest = this.#trees.manifestOf(tree.hash);
      if (!manifest) return;
      const layer = await this.#layers.makeWhole(manifest);
      const old = tree.layers;
      tree.layers = [layer];
      await this.#trees.save(tree);
      await this.#layers.removeUnused(old);
    });
  }

  knows(source: SourceName): boolean {
    return this.#usable(source) !== undefined;
  }

  #usable({ tree, key }: SourceName): Tree | undefined {
    const found = this.#trees.get(tree);
    return found?.keys.has(hashOfKey(key)) ? found : undefined;
  }

  /** Nothing of it goes until the function it gives is called, which may be called twice. It need not be here. */
  hold(source: SourceName): () => void {
    let tree = this.#usable(source);
    if (tree) tree.users += 1;
    return () => {
      if (tree) tree.users -= 1;
      tree = undefined;
    };
  }

  borrow(source: SourceName): BorrowedTree {
    const tree = this.#usable(source);
    const manifest = tree && this.#trees.manifestOf(tree.hash);
    if (!tree || !manifest)
      throw new SourceFault(`the worker has no source tree ${source.tree} (any more)`);
    this.#trees.touch(tree);
    return {
      hash: tree.hash,
      manifest,
      pathOf: (hash) => {
        const path = this.#blobs.pathOf(hash);
        if (path === null) throw new SourceFault(`content ${hash} is not in the store (any more)`);
        return path;
      },
    };
  }

  place(): Promise<SourcePlace> {
    return this.#places.place();
  }

  /** See Places. */
  folder(like: string | null): Promise<Pick<SourcePlace, "path" | "release">> {
    return this.#places.folder(like);
  }

  /** Forgets the least used trees, and the contents of none, until what is offered fits. */
  async #makeRoom(offer: Offer): Promise<void> {
    let wanted = 0;
    for (const { size } of offer.missing.values()) wanted += size;
    const { maxBytes } = this.#options;
    if (this.#blobs.bytes + wanted <= maxBytes) return;
    const spare = this.#trees
      .all()
      .filter(
        (tree) => tree.users === 0 && tree.usedAt < Date.now() - recentMs && tree !== offer.base,
      )
      .sort((a, b) => a.usedAt - b.usedAt);
    for (;;) {
      this.#removeUnnamed(maxBytes - wanted);
      if (this.#blobs.bytes + wanted <= maxBytes) return;
      const tree = spare.shift();
      if (!tree) break;
      this.#trees.forget(tree);
      await this.#layers.removeUnused(tree.layers);
    }
    throw new SourceFault(
      `the source needs ${formatBytes(wanted)}, and the worker's store (${formatBytes(maxBytes)}) is full of what is in use`,
    );
  }

  #removeUnnamed(atMost: number): void {
    if (this.#blobs.bytes <= atMost) return;
    const named = new Set<string>();
    const name = (manifest: Manifest) => {
      for (const hash of contentsOf(manifest).keys()) named.add(hash);
    };
    for (const { after } of this.#offers.values()) name(after.manifest);
    for (const tree of this.#trees.all()) {
      const manifest = this.#trees.manifestOf(tree.hash);
      if (manifest) name(manifest);
      else this.#forget(tree);
    }
    for (const hash of this.#blobs.hashes()) {
      if (this.#blobs.bytes <= atMost) return;
      if (!named.has(hash)) this.#blobs.remove(hash);
    }
  }

  /** A tree that lies in a folder of this machine. */
  async add(source: SourceName, manifest: Manifest, folder: string): Promise<void> {
    const answer = await this.offer(source, {
      base: null,
      changes: { removed: [], set: manifest },
    });
    const files = contentsOf(manifest);
    const missing = answer.status === "lacking" ? answer.missing : [];
    const packed = missing.map((hash) => {
      const { path, size } = files.get(hash)!;
      return { hash, size, read: () => createReadStream(pathBytes(folder, path)) };
    });
    const { status } = missing.length > 0 ? await this.receive(source, pack(packed)) : answer;
    if (status !== "ready") throw new SourceFault(`tree ${source.tree} could not be stored`);
  }

  manifestOf(source: SourceName): Manifest | null {
    return this.knows(source) ? this.#trees.manifestOf(source.tree) : null;
  }

  /** To be read one after the other; null where not all of them are of that tree. */
  contentsOf(source: SourceName, hashes: readonly string[]): readonly PackedFile[] | null {
    const files = contentsOf(this.manifestOf(source) ?? []);
    const found = hashes.flatMap((hash) => {
      const size = files.get(hash)?.size;
      const path = this.#blobs.pathOf(hash);
      return size === undefined || path === null
        ? []
        : [{ hash, size, read: () => createReadStream(path) }];
    });
    return found.length === hashes.length ? found : null;
  }

  get bytes(): number {
    return this.#blobs.bytes;
  }

  /** Names of contents that are not what their names say. Reads everything. */
  verify(): Promise<string[]> {
    return this.#blobs.verify();
  }

  async close(): Promise<void> {
    await this.#layers.idle();
    await this.#trees.idle();
    await unmountAll(join(this.#folder, "mounts"));
    await this.#mark.clear();
    this.#unlock();
  }
}

function hashOfKey(key: string): string {
  return createHash("sha256").update(key).digest("base64url");
}
