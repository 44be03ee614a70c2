// Contents by their SHA-256, one file for each content and mode. A name says what is in the file, its mode and its
// length; a file gets that name only when it is whole and its hash has been checked, so whatever has a name
// is true, whenever the worker is killed. Layers hold hard links to these files.

import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  constants,
  copyFileSync,
  createReadStream,
  existsSync,
  fchmodSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { codeOf } from "../../lib/code-of.js";

interface Blob {
  readonly size: number;
  readonly modes: Set<number>;
}

/** As soon as its length is known to be a lie, or its hash is. */
export class WrongContent extends Error {}

/** From then on it is not known any more, so that it is asked for. */
export class LostContent extends Error {}

export class Blobs {
  readonly #folder: string;
  readonly #incoming: string;
  readonly #known = new Map<string, Blob>();
  #bytes = 0;
  #made = 0;
  /** Some tree is not whole any more. */
  readonly #lost: () => void;

  constructor(folder: string, lost: () => void) {
    this.#lost = lost;
    this.#folder = join(folder, "blobs");
    this.#incoming = join(folder, "incoming");
    // What was on its way when the last worker was killed.
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true });
    for (let fan = 0; fan < 256; fan++) {
      const name = fan.toString(16).padStart(2, "0");
      mkdirSync(join(this.#folder, name), { recursive: true });
      for (const file of readdirSync(join(this.#folder, name))) this.#learn(name + file);
    }
  }

  #learn(name: string): void {
    const [hash = "", mode = "", size = ""] = name.split("-");
    this.#add(hash, Number.parseInt(mode, 8), Number(size));
  }

  #add(hash: string, mode: number, size: number): void {
    const blob = this.#known.get(hash);
    if (blob?.modes.has(mode)) return;
    this.#bytes += size;
    if (blob) blob.modes.add(mode);
    else this.#known.set(hash, { size, modes: new Set([mode]) });
  }

  has(hash: string, size: number): boolean {
    return this.#known.get(hash)?.size === size;
  }

  /** Of all contents, each mode counted. */
  get bytes(): number {
    return this.#bytes;
  }

  hashes(): string[] {
    return [...this.#known.keys()];
  }

  pathOf(hash: string): string | null {
    const blob = this.#known.get(hash);
    const [mode] = blob?.modes ?? [];
    return blob && mode !== undefined ? this.#path(hash, mode, blob.size) : null;
  }

  /** `mode`: that in which it will be needed first. */
  receive(hash: string, size: number, mode: number): IncomingBlob {
    this.#made += 1;
    return new IncomingBlob(
      join(this.#incoming, String(this.#made)),
      { hash, size, mode },
      (aside) => {
        renameSync(aside, this.#path(hash, mode, size));
        this.#add(hash, mode, size);
      },
    );
  }

  /** One more name for a content that is here. */
  link(hash: string, mode: number, target: Buffer): void {
    this.#use(hash, (blob) => {
      if (!blob.modes.has(mode)) this.#makeMode(hash, mode, blob);
      try {
        linkSync(this.#path(hash, mode, blob.size), target);
      } catch (error) {
        if (codeOf(error) !== "EMLINK") throw error;
        // A file has so many names at most; an empty __init__.py may be in more layers.
        this.copy(hash, mode, target);
      }
    });
  }

  /** A file of its own, as young as it is. */
  copy(hash: string, mode: number, target: Buffer | string): void {
    this.#use(hash, () => {
      copyFileSync(this.pathOf(hash)!, target, constants.COPYFILE_FICLONE);
      const file = openSync(target, "r");
      fchmodSync(file, mode);
      closeSync(file);
    });
  }

  #use(hash: string, use: (blob: Blob) => void): void {
    const blob = this.#known.get(hash);
    if (!blob) throw this.#loss(hash);
    try {
      use(blob);
    } catch (error) {
      const paths = [...blob.modes].map((mode) => this.#path(hash, mode, blob.size));
      throw paths.every((path) => existsSync(path)) ? error : this.#loss(hash);
    }
  }

  #loss(hash: string): LostContent {
    this.remove(hash);
    this.#lost();
    return new LostContent(`content ${hash} is not in the store (any more)`);
  }

  #makeMode(hash: string, mode: number, { size }: Blob): void {
    this.#made += 1;
    const aside = join(this.#incoming, String(this.#made));
    this.copy(hash, mode, aside);
    renameSync(aside, this.#path(hash, mode, size));
    this.#add(hash, mode, size);
  }

  remove(hash: string): void {
    const blob = this.#known.get(hash);
    if (!blob) return;
    for (const mode of blob.modes) rmSync(this.#path(hash, mode, blob.size), { force: true });
    this.#bytes -= blob.size * blob.modes.size;
    this.#known.delete(hash);
  }

  /** Names of contents that are not what they should be. Reads everything. */
  async verify(): Promise<string[]> {
    const wrong: string[] = [];
    for (const [hash, { size, modes }] of this.#known) {
      for (const mode of modes) {
        const isRight = await holds(this.#path(hash, mode, size), hash).catch(() => false);
        if (!isRight) wrong.push(hash);
      }
    }
    return wrong;
  }

  #path(hash: string, mode: number, size: number): string {
    return `${this.#folder}/${hash.slice(0, 2)}/${hash.slice(2)}-${mode.toString(8)}-${size}`;
  }
}

async function holds(path: string, hash: string): Promise<boolean> {
  const found = createHash("sha256");
  for await (const bytes of createReadStream(path)) found.update(bytes);
  return found.digest("hex") === hash;
}

/** Order: write until it is whole, then finish; or abandon at any time. */
export class IncomingBlob {
  readonly #aside: string;
  readonly #expected: { readonly hash: string; readonly size: number; readonly mode: number };
  readonly #keep: (aside: string) => void;
  readonly #hash: Hash = createHash("sha256");
  readonly #file: number;
  #length = 0;
  #open = true;

  constructor(
    aside: string,
    expected: { readonly hash: string; readonly size: number; readonly mode: number },
    keep: (aside: string) => void,
  ) {
    this.#aside = aside;
    this.#expected = expected;
    this.#keep = keep;
    this.#file = openSync(aside, "wx", 0o600);
  }

  write(bytes: Uint8Array): void {
    this.#length += bytes.length;
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at);
  }

  finish(): void {
    const { hash, size, mode } = this.#expected;
    if (this.#length !== size || this.#hash.digest("hex") !== hash) {
      this.abandon();
      throw new WrongContent(`the bytes received for ${hash} are others`);
    }
    fchmodSync(this.#file, mode);
    this.#close();
    this.#keep(this.#aside);
  }

  abandon(): void {
    if (!this.#open) return;
    this.#close();
    rmSync(this.#aside, { force: true });
  }

  #close(): void {
    this.#open = false;
    closeSync(this.#file);
  }
}
