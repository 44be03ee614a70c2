// A tree that was found in the working tree, on its way to a worker: what is read must be what was found.

import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { type FileEntry, pathBytes } from "../../source/manifest.js";
import type { FoundTree } from "../../source/scan.js";
import type { OutgoingTree } from "../../wire/send-tree.js";

const smallBytes = 512 * 1024;

/** A file is not what it was when the tree was found. */
export class ChangedFile extends Error {}

/** As it lies in the working tree. */
export function outgoing(root: string, found: FoundTree): OutgoingTree {
  const { hash, since } = found;
  return {
    hash,
    // Made of its text only where a worker needs all of it.
    get manifest() {
      return found.manifest;
    },
    since,
    read: (entry) => readEntry(root, entry),
  };
}

/** Small files at once: a stream for each would cost more than the file. */
function readEntry(
  root: string,
  entry: FileEntry,
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  const { path, hash, size } = entry;
  if (size > smallBytes) return readBig(root, entry);
  let bytes: Uint8Array | null = null;
  try {
    bytes = readFileSync(pathBytes(root, path));
  } catch {
    // It was there a moment ago.
  }
  if (bytes === null || createHash("sha256").update(bytes).digest("hex") !== hash)
    throw changed(path);
  return [bytes];
}

async function* readBig(root: string, { path, hash, size }: FileEntry): AsyncGenerator<Uint8Array> {
  const digest = createHash("sha256");
  let length = 0;
  try {
    const pieces = createReadStream(pathBytes(root, path), { highWaterMark: smallBytes });
    for await (const piece of pieces) {
      digest.update(piece);
      length += piece.length;
      // The last piece is held back until it is sure that all is as it was.
      if (length > size || (length === size && digest.digest("hex") !== hash)) throw changed(path);
      yield piece;
    }
  } catch (error) {
    throw error instanceof ChangedFile ? error : changed(path);
  }
  if (length !== size) throw changed(path);
}

function changed(path: string): ChangedFile {
  const name = Buffer.from(path, "latin1");
  return new ChangedFile(`${name} was changed before it had reached the worker`);
}
