// What a tree of files is: its entries, as one canonical text, and the hash of that text as its name.
//
// Names of files are bytes, and need not be UTF-8. Here a path is a "byte string": each character stands for
// one byte (latin1), so that no name is changed on its way, and order is that of the bytes.

import { createHash } from "node:crypto";

export type TreeEntry =
  | { readonly kind: "dir"; readonly path: string; readonly mode: number }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      readonly size: number;
      /** SHA-256 of its bytes, in hex. */
      readonly hash: string;
    }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

export type FileEntry = TreeEntry & { readonly kind: "file" };

/** Sorted by path. */
export type Manifest = readonly TreeEntry[];

export interface TreeChanges {
  readonly removed: readonly string[];
  /** New ones, and those that are not as they were. */
  readonly set: Manifest;
}

export class BadManifest extends Error {}

const treeHash = /^[0-9a-f]{64}$/;

export function isTreeHash(text: string): boolean {
  return treeHash.test(text);
}

/** One text for one tree: two trees have the same if and only if nothing in them differs. */
export function encodeManifest(manifest: Manifest): Buffer {
  let text = "";
  for (const entry of manifest) text += encodeEntry(entry);
  return Buffer.from(text, "latin1");
}

export function hashOfText(text: Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

export function hashOf(manifest: Manifest): string {
  return hashOfText(encodeManifest(manifest));
}

export function encodeEntry(entry: TreeEntry): string {
  switch (entry.kind) {
    case "dir":
      return `d ${entry.mode.toString(8)} ${entry.path}\0`;
    case "file":
      return `f ${entry.mode.toString(8)} ${entry.size} ${entry.hash} ${entry.path}\0`;
    case "link":
      return `l ${entry.path}\0${entry.target}\0`;
    default:
      return entry satisfies never;
  }
}

export function encodeChanges({ removed, set }: TreeChanges): Buffer {
  let text = "";
  for (const path of removed) text += `- ${path}\0`;
  for (const entry of set) text += encodeEntry(entry);
  return Buffer.from(text, "latin1");
}

/** Checked as a whole: what it gives can be written below a folder without leaving that. */
export function parseManifest(text: Uint8Array): Manifest {
  const { removed, set } = parseChanges(text);
  if (removed.length > 0) throw new BadManifest("a whole tree removes nothing");
  checkTree(set);
  return set;
}

/** Only its form is checked; the tree that it makes must be, too. */
export function parseChanges(bytes: Uint8Array): TreeChanges {
  const fields = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    .toString("latin1")
    .split("\0");
  if (fields.pop() !== "") throw new BadManifest("it ends in the middle of an entry");
  const removed: string[] = [];
  const set: TreeEntry[] = [];
  for (let at = 0; at < fields.length; at++) {
    const field = fields[at]!;
    const kind = field.slice(0, 2);
    if (kind === "- ") removed.push(field.slice(2));
    else if (kind === "l ") {
      const target = fields[++at];
      if (!target) throw new BadManifest("a link without a target");
      set.push({ kind: "link", path: field.slice(2), target });
    } else set.push(parseEntry(field));
  }
  return { removed, set };
}

const entryForm = /^(?:d ([0-7]{1,3}) |f ([0-7]{1,3}) (\d{1,15}) ([0-9a-f]{64}) )/;

function parseEntry(field: string): TreeEntry {
  const match = entryForm.exec(field);
  if (!match) throw new BadManifest(`no entry: ${JSON.stringify(field.slice(0, 100))}`);
  const [head, dirMode, fileMode, size, hash] = match;
  const path = field.slice(head.length);
  if (dirMode !== undefined) return { kind: "dir", path, mode: Number.parseInt(dirMode, 8) };
  return {
    kind: "file",
    path,
    mode: Number.parseInt(fileMode!, 8),
    size: Number(size),
    hash: hash!,
  };
}

const unsafeStep = /(?:^|\/)(?:\.{0,2})(?:\/|$)/;

/** One that leads nowhere but below the folder it is seen from. */
export function isSafePath(path: string): boolean {
  return !unsafeStep.test(path);
}

/** In order, no path twice, each below a folder of the tree itself: never through a link, never outside. */
function checkTree(manifest: Manifest): void {
  const folders = new Set([""]);
  let before = "";
  for (const { kind, path } of manifest) {
    if (!isSafePath(path)) throw new BadManifest(`no path: ${JSON.stringify(path)}`);
    if (path <= before) throw new BadManifest(`out of order: ${JSON.stringify(path)}`);
    before = path;
    if (!folders.has(path.slice(0, Math.max(0, path.lastIndexOf("/"))))) {
      throw new BadManifest(`not below a folder: ${JSON.stringify(path)}`);
    }
    if (kind === "dir") folders.add(path);
  }
}

/** The files of a tree by their content, each content once, in the order of the tree. */
export function contentsOf(manifest: Manifest): Map<string, FileEntry> {
  const contents = new Map<string, FileEntry>();
  for (const entry of manifest) {
    if (entry.kind === "file" && !contents.has(entry.hash)) contents.set(entry.hash, entry);
  }
  return contents;
}

/** For the file system: the bytes that a path stands for. */
export function pathBytes(folder: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, "latin1")]);
}
