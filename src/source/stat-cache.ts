// What a scan knew of each file, so that the next one need not read those that are as they were.

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeManifest, type Manifest, parseManifest } from "./manifest.js";

/** What changes whenever a file does; a number each, in the order of `Stats`. */
export type Stamp = readonly [
  size: number,
  mode: number,
  ino: number,
  mtimeMs: number,
  ctimeMs: number,
];

export interface KnownTree {
  readonly hash: string;
  readonly manifest: Manifest;
  /** Of those files whose content is sure to be what the manifest says. */
  readonly stamps: ReadonlyMap<string, Stamp>;
}

export interface StatCache {
  of(root: string): Promise<KnownTree | null>;
  keep(root: string, tree: KnownTree): void;
  /** What was kept is where it outlives the process. */
  saved(): Promise<void>;
}

/** `folder`: where it outlives the process; absent: nowhere. */
export function createStatCache(folder?: string): StatCache {
  const known = new Map<string, KnownTree>();
  /** One after the other: the last one counts. */
  let saving: Promise<void> = Promise.resolve();
  return {
    async of(root) {
      const found = known.get(root) ?? (folder === undefined ? null : await load(folder, root));
      if (found) known.set(root, found);
      return found;
    },
    keep(root, tree) {
      known.set(root, tree);
      if (folder === undefined) return;
      // Losing it costs time, no more.
      saving = saving.then(() => save(folder, root, tree)).catch(() => {});
    },
    saved: () => saving,
  };
}

async function load(folder: string, root: string): Promise<KnownTree | null> {
  try {
    const bytes = await readFile(fileOf(folder, root));
    const end = bytes.indexOf("\n");
    const head: unknown = JSON.parse(bytes.toString("latin1", 0, end));
    if (typeof head !== "object" || head === null || !("hash" in head) || !("numbers" in head))
      return null;
    const { hash, numbers } = head;
    if (typeof hash !== "string" || typeof numbers !== "number") return null;
    const stampsEnd = end + 1 + numbers * 8;
    const values = new Float64Array(numbers);
    Buffer.from(values.buffer).set(bytes.subarray(end + 1, stampsEnd));
    const text = bytes.subarray(stampsEnd);
    if (createHash("sha256").update(text).digest("hex") !== hash) return null;
    const manifest = parseManifest(text);
    const stamps = new Map<string, Stamp>();
    for (let at = 0; at < values.length; at += 6) {
      const [index, size, mode, ino, mtimeMs, ctimeMs] = values.subarray(at, at + 6);
      stamps.set(manifest[index!]!.path, [size!, mode!, ino!, mtimeMs!, ctimeMs!]);
    }
    return { hash, manifest, stamps };
  } catch {
    return null;
  }
}

async function save(folder: string, root: string, { hash, manifest, stamps }: KnownTree) {
  const values = new Float64Array(stamps.size * 6);
  let at = 0;
  for (const [index, { path }] of manifest.entries()) {
    const stamp = stamps.get(path);
    if (!stamp) continue;
    values.set([index, ...stamp], at);
    at += 6;
  }
  const head = JSON.stringify({ root, hash, numbers: values.length });
  const path = fileOf(folder, root);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const aside = `${path}.${process.pid}.new`;
  const bytes = [Buffer.from(`${head}\n`), Buffer.from(values.buffer), encodeManifest(manifest)];
  await writeFile(aside, Buffer.concat(bytes), { mode: 0o600 });
  await rename(aside, path);
}

function fileOf(folder: string, root: string): string {
  return join(folder, `scan-${createHash("sha256").update(root).digest("hex").slice(0, 24)}`);
}
