// Git's index of a working tree, as it lies: which files are tracked, and how each looked when git last knew that it was
// what is in the repo. To be compared with how it looked when we read it.

import { lstatSync, readFileSync, statfsSync } from "node:fs";
import { resolve } from "node:path";
import { namedRepo } from "./git-env.js";

/** Where the index of a working tree is. */
export interface GitIndexPlace {
  /** Git's own folder of this working tree. */
  readonly gitFolder: string;
  /** Null: it is of a kind that is not read here. */
  read(): GitIndex | null;
  /** How its file looks, by which another one is told; null: it was changed at that time or later, so others may have read another one. */
  lookBefore(time: number): string | null;
}

export interface GitIndex {
  /** Byte strings, sorted, none twice. */
  readonly paths: readonly string[];
  /** Four numbers for each: its size and inode, modulo 2^32, mtimeMs and ctimeMs. NaN: git does not look at it. */
  readonly stats: Float64Array;
}

export const statNumbers = 4;

/**
 * Those of one machine, whose files bear the time of its own clock: for a file system elsewhere "changed later" need not
 * mean "with a later time". ext2 to ext4, XFS, Btrfs, F2FS, tmpfs, overlay, ZFS, bcachefs.
 */
const ownClock = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xca451a4e,
]);

/** Null: there is none, git may use another one, or its times cannot be relied on. */
export function findGitIndex(folder: string): GitIndexPlace | null {
  if (process.platform !== "linux" || namedRepo(folder)) return null;
  try {
    const gitFolder = gitFolderOf(folder);
    const path = `${gitFolder}/index`;
    if (![folder, path].every((place) => ownClock.has(statfsSync(place).type))) return null;
    return {
      gitFolder,
      read: () => parseGitIndex(readFileSync(path)),
      lookBefore(time) {
        const { size, ino, mtimeMs, ctimeMs } = lstatSync(path);
        return Math.max(mtimeMs, ctimeMs) < time ? [size, ino, mtimeMs, ctimeMs].join(" ") : null;
      },
    };
  } catch {
    return null;
  }
}

function gitFolderOf(folder: string): string {
  const place = `${folder}/.git`;
  if (lstatSync(place).isDirectory()) return place;
  const pointer = /^gitdir: ([^\n]+)\n?$/.exec(readFileSync(place, "utf8"));
  if (!pointer) throw new Error(`${place} leads nowhere`);
  return resolve(folder, pointer[1]!);
}

const headBytes = 12;
const hashBytes = 20;
/** Of an entry, before its hash. */
const statBytes = 40;
const fileType = 0o100000;
const isValid = 0x8000;
const isExtended = 0x4000;
const stages = 0x3000;

/** Versions 2 and 3, whole: not split, not sparse. */
export function parseGitIndex(bytes: Buffer): GitIndex | null {
  const text = bytes.toString("latin1");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = view.getUint32(4);
  if (!text.startsWith("DIRC") || (version !== 2 && version !== 3)) return null;
  const count = view.getUint32(8);
  const stats = new Float64Array(count * statNumbers);
  const paths: string[] = [];
  let at = headBytes;
  for (let entry = 0; entry < count; entry++) {
    const flags = view.getUint16(at + statBytes + hashBytes);
    const pathAt = at + statBytes + hashBytes + ((flags & isExtended) === 0 ? 2 : 4);
    const pathEnd = text.indexOf("\0", pathAt);
    const path = text.slice(pathAt, pathEnd);
    // Of a path with conflicts there are up to three.
    if (path !== paths.at(-1)) paths.push(path);
    const mode = view.getUint32(at + 24);
    const slot = (paths.length - 1) * statNumbers;
    if ((flags & (isValid | isExtended | stages)) !== 0 || (mode & 0o170000) !== fileType) {
      stats.fill(Number.NaN, slot, slot + statNumbers);
    } else {
      stats[slot] = view.getUint32(at + 36);
      stats[slot + 1] = view.getUint32(at + 20);
      stats[slot + 2] = msOf(view.getUint32(at + 8), view.getUint32(at + 12));
      stats[slot + 3] = msOf(view.getUint32(at), view.getUint32(at + 4));
    }
    // Filled up to a multiple of eight, with one zero at least.
    at += (pathEnd - at + 8) & ~7;
  }
  const end = bytes.length - hashBytes;
  while (at < end) {
    // One that is written small changes what the entries mean: "link", "sdir".
    if (text[at]! > "Z") return null;
    at += 8 + view.getUint32(at + 4);
  }
  return at === end ? { paths, stats } : null;
}

/** As Node computes it, to the last bit. */
function msOf(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + nanoseconds / 1_000_000;
}
