// Takes the contents of a tree out of a stream, those that are missing.

import type { FileEntry } from "../../source/manifest.js";
import type { PackTaker } from "../../source/pack.js";
import { type Blobs, type IncomingBlob, WrongContent } from "./blobs.js";

export class ContentTaker implements PackTaker {
  readonly #missing: Map<string, FileEntry>;
  readonly #blobs: Blobs;
  #hash = "";
  #blob: IncomingBlob | null = null;

  /** What has come is no longer in `missing`, which several streams may share. */
  constructor(missing: Map<string, FileEntry>, blobs: Blobs) {
    this.#missing = missing;
    this.#blobs = blobs;
  }

  begin(hash: string, length: number): void {
    this.#hash = hash;
    const entry = this.#missing.get(hash);
    // Another stream may have brought it meanwhile.
    if (!entry) this.#blob = null;
    else if (entry.size !== length)
      throw new WrongContent(`${hash} is ${entry.size} bytes, not ${length}`);
    else this.#blob = this.#blobs.receive(hash, length, entry.mode);
  }

  piece(bytes: Uint8Array): void {
    this.#blob?.write(bytes);
  }

  end(): void {
    this.#blob?.finish();
    this.#blob = null;
    this.#missing.delete(this.#hash);
  }

  close(): void {
    this.#blob?.abandon();
  }
}
