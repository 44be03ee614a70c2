// What a scan knew of each file, so that the next one need not read those that are as they were.

import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { uptime } from "node:os";
import { join } from "node:path";
import { ListedTree } from "./listed-tree.js";
import { hashOfText } from "./manifest.js";
import type { KnownIndex } from "./vouched.js";

/** What changes whenever a file does; a number each, in the order of `Stats`. */
export type Stamp = readonly [
  size: number,
  mode: number,
  ino: number,
  mtimeMs: number,
  ctimeMs: number,
];

const numbersEach = 5;

/** One for each entry of a tree; none where it is not sure that the content is still what the tree says. */
export class Stamps {
  readonly numbers: Float64Array;

  constructor(numbers: Float64Array) {
    this.numbers = numbers;
  }

  static none(entries: number): Stamps {
    return new Stamps(new Float64Array(entries * numbersEach).fill(Number.NaN));
  }

  isAt(index: number, stamp: Stamp): boolean {
    for (let which = 0; which < numbersEach; which++) {
      if (this.numbers[index * numbersEach + which] !== stamp[which]) return false;
    }
    return true;
  }

  set(index: number, stamp: Stamp): void {
    this.numbers.set(stamp, index * numbersEach);
  }

  /** Those of another tree's entries. */
  take(from: Stamps, run: { readonly from: number; readonly to: number; readonly count: number }) {
    const start = run.from * numbersEach;
    const part = from.numbers.subarray(start, start + run.count * numbersEach);
    this.numbers.set(part, run.to * numbersEach);
  }

  /** Of files that were changed so late that they may have been changed once more. */
  forgetFrom(time: number): void {
    const { numbers } = this;
    for (let at = 0; at < numbers.length; at += numbersEach) {
      if (numbers[at + 3]! < time && numbers[at + 4]! < time) continue;
      numbers.fill(Number.NaN, at, at + numbersEach);
    }
  }

  sizeAt = (index: number): number => this.numbers[index * numbersEach]!;
  inoAt = (index: number): number => this.numbers[index * numbersEach + 2]!;
  mtimeMsAt = (index: number): number => this.numbers[index * numbersEach + 3]!;
  ctimeMsAt = (index: number): number => this.numbers[index * numbersEach + 4]!;
}

export interface KnownTree {
  readonly tree: ListedTree;
  readonly stamps: Stamps;
  /** Of the .bettertestignore that took files away from it. */
  readonly words: string;
  /** See `clockStart`. */
  readonly clock: number;
  /** Null: what git vouches for is to be found out. */
  readonly index: KnownIndex | null;
}

/** When the clock said that the machine was started. Another time than before: the clock was set, or it is another start. */
export function clockStart(): number {
  return Date.now() - uptime() * 1000;
}

/** It is told in steps of some milliseconds. */
const sameClockMs = 500;

export function isSameClock(a: number, b: number): boolean {
  return Math.abs(a - b) < sameClockMs;
}

/** That there was a scan of it, by whichever process. */
export function wasScanned(folder: string, root: string): boolean {
  return existsSync(fileOf(folder, root));
}

export interface StatCache {
  of(root: string): Promise<KnownTree | null>;
  keep(root: string, tree: KnownTree): void;
  /** Where it outlives the process, what was kept is there now. */
  saved(): Promise<void>;
}

/** Whoever has just scanned waits for other things than what a later scan will want to know. */
const saveAfterMs = 200;

/** `folder`: where it outlives the process; absent: nowhere. */
export function createStatCache(folder?: string): StatCache {
  const known = new Map<string, KnownTree>();
  const unsaved = new Map<string, KnownTree>();
  let timer: NodeJS.Timeout | undefined;
  /** One after the other: the last one counts. */
  let saving: Promise<void> = Promise.resolve();
  const saveAll = () => {
    clearTimeout(timer);
    timer = undefined;
    for (const [root, tree] of unsaved) {
      // Losing it costs time, no more.
      saving = saving.then(() => save(folder!, root, tree)).catch(() => {});
    }
    unsaved.clear();
    return saving;
  };
  return {
    async of(root) {
      const found = known.get(root) ?? (folder === undefined ? null : await load(folder, root));
      if (found) known.set(root, found);
      return found;
    },
    keep(root, tree) {
      known.set(root, tree);
      if (folder === undefined) return;
      unsaved.set(root, tree);
      timer ??= setTimeout(saveAll, saveAfterMs);
    },
    saved: saveAll,
  };
}

interface Head {
  readonly hash: string;
  readonly entries: number;
  readonly words: string;
  readonly clock: number;
  readonly index: Omit<KnownIndex, "entries"> | null;
}

/** The hash of all the rest; its head; the numbers, for which entries the index vouches, the text. */
async function load(folder: string, root: string): Promise<KnownTree | null> {
  try {
    const bytes = await readFile(fileOf(folder, root));
    const headAt = bytes.indexOf("\n") + 1;
    if (hashOfText(bytes.subarray(headAt)) !== bytes.toString("latin1", 0, headAt - 1)) return null;
    const end = bytes.indexOf("\n", headAt);
    const head: unknown = JSON.parse(bytes.toString("utf8", headAt, end));
    if (!isHead(head)) return null;
    const { hash, entries, words, clock, index } = head;
    const numbers = new Float64Array(entries * numbersEach);
    const vouchedAt = end + 1 + numbers.byteLength;
    const textAt = vouchedAt + (index ? entries : 0);
    Buffer.from(numbers.buffer).set(bytes.subarray(end + 1, vouchedAt));
    const tree = ListedTree.trusted(bytes.toString("latin1", textAt), hash);
    const vouched = new Uint8Array(bytes.subarray(vouchedAt, textAt));
    return {
      tree,
      stamps: new Stamps(numbers),
      words,
      clock,
      index: index && { ...index, entries: vouched },
    };
  } catch {
    return null;
  }
}

/** That it is what we have written is known. It may be of another version. */
function isHead(head: unknown): head is Head {
  if (typeof head !== "object" || head === null || !("index" in head)) return false;
  if (!("hash" in head && "entries" in head && "words" in head && "clock" in head)) return false;
  const { hash, entries, words, clock } = head;
  return (
    typeof hash === "string" &&
    typeof entries === "number" &&
    typeof words === "string" &&
    typeof clock === "number" &&
    isIndexHead(head.index)
  );
}

function isIndexHead(index: unknown): index is Head["index"] {
  if (index === null) return true;
  if (typeof index !== "object") return false;
  if (!("look" in index && "tracked" in index && "others" in index)) return false;
  const { look, tracked, others } = index;
  const committed = "committed" in index ? index.committed : undefined;
  return (
    typeof look === "string" &&
    typeof tracked === "number" &&
    (committed === null || typeof committed === "string") &&
    Array.isArray(others)
  );
}

async function save(
  folder: string,
  root: string,
  { tree, stamps, words, clock, index }: KnownTree,
) {
  const { entries: vouched = new Uint8Array(0), ...indexHead } = index ?? {};
  const head = {
    root,
    hash: tree.hash,
    entries: tree.paths.length,
    words,
    clock,
    index: index && indexHead,
  };
  const path = fileOf(folder, root);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Of no other process, in whichever container.
  const aside = `${path}.${randomUUID()}.new`;
  const { numbers } = stamps;
  const rest = Buffer.concat([
    Buffer.from(`${JSON.stringify(head)}\n`),
    Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength),
    vouched,
    Buffer.from(tree.text, "latin1"),
  ]);
  await writeFile(aside, [Buffer.from(`${hashOfText(rest)}\n`), rest], { mode: 0o600 });
  await rename(aside, path);
}

function fileOf(folder: string, root: string): string {
  return join(folder, `scan-${createHash("sha256").update(root).digest("hex").slice(0, 24)}`);
}
