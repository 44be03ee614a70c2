// Copies files from one folder to another, and tells whether a folder is still what it was. Synchronous: it runs in a
// thread of its own (copy-thread.ts). Sources are what a command has left, so no link is followed.

import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  symlinkSync,
} from "node:fs";
import { pathBytes } from "../../source/manifest.js";

export class TooLarge extends Error {}

export interface CopyOptions {
  readonly maxBytes: number;
  /** What is at the target already stays as it is; folders are merged. Otherwise nothing may be there. */
  readonly keep?: boolean;
}

const blockBytes = 4096;
const pieceBytes = 1 << 20;

/** Gives what it takes on a disk. Pipes, sockets and devices are left out. */
export function copyTree(
  from: string,
  to: string,
  { maxBytes, keep = false }: CopyOptions,
): number {
  let bytes = 0;
  const visit = (path: string): void => {
    const source = below(from, path);
    const target = below(to, path);
    const stat = lstatSync(source);
    const there = keep ? lstatSync(target, { throwIfNoEntry: false }) : undefined;
    if (there && !(there.isDirectory() && stat.isDirectory())) return;
    bytes += roomOf(stat);
    if (bytes > maxBytes) throw new TooLarge();
    if (stat.isDirectory()) {
      if (!there) mkdirSync(target, 0o700);
      for (const name of namesIn(source)) visit(path === "" ? name : `${path}/${name}`);
    } else if (stat.isSymbolicLink())
      symlinkSync(readlinkSync(source, { encoding: "buffer" }), target);
    else if (stat.isFile()) copyFileSync(source, target, constants.COPYFILE_FICLONE);
    else return;
    if (!there) likeSource(target, stat);
  };
  visit("");
  return bytes;
}

/** Last of all, since a folder's time is that of its last change, and it may be one that nobody may write to. */
function likeSource(target: Buffer, stat: Stats): void {
  if (isRoot()) lchownSync(target, stat.uid, stat.gid);
  // A program that becomes another user is nothing to keep for others.
  if (!stat.isSymbolicLink()) chmodSync(target, stat.mode & (stat.isDirectory() ? 0o7777 : 0o777));
  lutimesSync(target, stat.atimeMs / 1000, Math.floor(stat.mtimeMs) / 1000);
}

/** Of all names, contents, modes, owners and times of files. */
export function digestOf(folder: string): string {
  const digest = createHash("sha256");
  const visit = (path: string): void => {
    const place = below(folder, path);
    const stat = lstatSync(place);
    const owner = isRoot() ? `${stat.uid}:${stat.gid}` : "";
    const head = `${path}\0${(stat.mode & 0o7777).toString(8)} ${owner}`;
    if (stat.isDirectory()) {
      digest.update(`d ${head}\0`, "latin1");
      for (const name of namesIn(place).sort()) visit(path === "" ? name : `${path}/${name}`);
    } else if (stat.isSymbolicLink()) {
      digest.update(`l ${path}\0${owner}\0${readlinkSync(place, "latin1")}\0`, "latin1");
    } else {
      const time = Math.floor(stat.mtimeMs / 1000);
      digest.update(`f ${head} ${time} ${stat.size} ${contentHash(place)}\0`, "latin1");
    }
  };
  visit("");
  return digest.digest("hex");
}

function contentHash(path: Buffer): string {
  const hash = createHash("sha256");
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (;;) {
      const count = readSync(file, piece, 0, piece.length, null);
      if (count === 0) return hash.digest("hex");
      hash.update(piece.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
}

const piece = Buffer.allocUnsafe(pieceBytes);

function namesIn(folder: Buffer): string[] {
  return readdirSync(folder, "latin1");
}

function below(folder: string, path: string): Buffer {
  return path === "" ? Buffer.from(folder) : pathBytes(folder, path);
}

function roomOf({ size }: Stats): number {
  return Math.max(1, Math.ceil(size / blockBytes)) * blockBytes;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
