// What a build reads of its source, and so what its image is named by: the files of the context that `.dockerignore`
// leaves, the Dockerfile, target and arguments, and the images that it builds upon. What a build fetches by
// itself is not among them; it is fetched again when one of these has changed.

import { createHash, randomBytes } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { posix } from "node:path";
import { type TarItem, writeTar } from "../../lib/write-tar.js";
import type { FileEntry, TreeEntry } from "../../source/manifest.js";
import type { BorrowedTree } from "../sources/store.js";
import { baseImages, firstImage, hasUnclearBase } from "./dockerfile.js";
import { type Ignored, parseDockerignore } from "./dockerignore.js";

export interface Recipe {
  readonly context: string;
  readonly dockerfile: string;
  readonly target?: string | undefined;
  readonly args?: Readonly<Record<string, string>> | undefined;
}

export interface BuildPlan {
  /** In the order in which their ids are wanted for the name. */
  readonly bases: readonly string[];
  /** The one that the image itself begins with; "": none, or nobody can tell. */
  readonly base: string;
  /** Where the engine finds the Dockerfile in the archive. */
  readonly dockerfile: string;
  /** What is in it. */
  readonly text: string;
  /** Another one each time where a base is named in a way that is not understood: it may have changed. */
  keyWith(baseIds: readonly string[]): string;
  /** Of the tree that was planned with. */
  archive(tree: BorrowedTree): AsyncGenerator<Uint8Array>;
}

/** The source does not hold what the build is to read: whoever wrote the one or the other is to blame. */
export class UnbuildableSource extends Error {}

/** A file that is not in the context travels under this name, and is no part of it. */
const foreignDockerfile = ".bettertest.dockerfile";
const ignoreFile = ".dockerignore";
/** Above, a file is read as a stream. */
const smallBytes = 512 * 1024;

export function planBuild(tree: BorrowedTree, recipe: Recipe): BuildPlan {
  const entries = new Map(tree.manifest.map((entry) => [entry.path, entry]));
  const context = normal(recipe.context);
  if (context !== "" && entries.get(context)?.kind !== "dir")
    throw new UnbuildableSource(`there is no folder ${recipe.context} in the source (context)`);
  const dockerfile = fileAt(entries, normal(recipe.dockerfile));
  if (!dockerfile) {
    throw new UnbuildableSource(
      `there is no file ${recipe.dockerfile} in the source (dockerfile): what git ignores does not travel`,
    );
  }
  const text = readFileSync(tree.pathOf(dockerfile.hash), "utf8");
  const inContext = context === "" ? "" : `${context}/`;
  const ownIgnore = fileAt(entries, `${normal(recipe.dockerfile)}.dockerignore`);
  const commonIgnore = fileAt(entries, `${inContext}${ignoreFile}`);
  const ignore = ownIgnore ?? commonIgnore;
  const ignored = ignore
    ? parseDockerignore(readFileSync(tree.pathOf(ignore.hash), "utf8"))
    : () => false;

  const all = below(tree.manifest, inContext);
  const files = chosen(all, ignored);
  const place = normal(recipe.dockerfile);
  // Where it is left out, the build reads it all the same, and cannot copy it.
  const isCopied =
    place.startsWith(inContext) &&
    files.some(({ path, kind }) => kind === "file" && path === place.slice(inContext.length));
  const hash = createHash("sha256").update(
    JSON.stringify([
      "bettertest image 1",
      dockerfile.hash,
      recipe.target ?? null,
      Object.entries(recipe.args ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
    ]),
  );
  for (const entry of files) hash.update(wordsOf(entry));
  const isUnclear = hasUnclearBase(text, recipe.target, recipe.args);

  function* items(tree: BorrowedTree): Generator<TarItem> {
    const isThere = files.some(({ path }) => path === ignoreFile);
    for (const entry of files) {
      if (!isCopied && entry.path === ignoreFile) continue;
      yield itemOf(entry, tree);
    }
    if (isCopied) return;
    yield { ...itemOf(dockerfile!, tree), path: foreignDockerfile };
    // The engine takes away what this names when it has read the Dockerfile.
    const names = [foreignDockerfile, ...(isThere ? [] : [ignoreFile])].join("\n");
    const own = commonIgnore && isThere ? readFileSync(tree.pathOf(commonIgnore.hash)) : "";
    const bytes = Buffer.concat([Buffer.from(own), Buffer.from(`\n${names}\n`)]);
    yield { kind: "file", path: ignoreFile, mode: 0o644, size: bytes.length, read: () => [bytes] };
  }

  return {
    bases: baseImages(text, recipe.target, recipe.args),
    base: firstImage(text, recipe.target, recipe.args),
    dockerfile: isCopied ? bytesToText(place.slice(inContext.length)) : foreignDockerfile,
    text,
    keyWith(baseIds) {
      const own = hash.copy().update(baseIds.join("\n"));
      return (isUnclear ? own.update(randomBytes(16)) : own).digest("hex");
    },
    archive: (same) => writeTar(items(same)),
  };
}

/** As paths in a manifest are written: each character is a byte. */
function normal(path: string): string {
  const clean = posix.normalize(path).replace(/\/$/, "");
  return clean === "." ? "" : Buffer.from(clean).toString("latin1");
}

function bytesToText(path: string): string {
  return Buffer.from(path, "latin1").toString();
}

/** Through links of the source, as long as they stay in it. */
function fileAt(entries: ReadonlyMap<string, TreeEntry>, path: string): FileEntry | null {
  let at = path;
  for (let links = 0; links < 10; links++) {
    const entry = entries.get(at);
    if (entry?.kind === "file") return entry;
    if (entry?.kind !== "link") return null;
    at = posix.join(posix.dirname(at), entry.target);
  }
  return null;
}

/** By their paths from there on. */
function below(manifest: readonly TreeEntry[], folder: string): TreeEntry[] {
  return manifest.flatMap((entry) =>
    entry.path.startsWith(folder) && entry.path.length > folder.length
      ? [{ ...entry, path: entry.path.slice(folder.length) }]
      : [],
  );
}

function chosen(entries: readonly TreeEntry[], ignored: Ignored): TreeEntry[] {
  const taken = entries.filter(({ path }) => !ignored(bytesToText(path)));
  // A folder that is left out is there all the same where something below it is not.
  const needed = new Set<string>();
  for (const { path } of taken) {
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1))
      needed.add(path.slice(0, at));
  }
  const isTaken = new Set(taken);
  return entries.filter((entry) => isTaken.has(entry) || needed.has(entry.path));
}

function wordsOf(entry: TreeEntry): string {
  switch (entry.kind) {
    case "dir":
      return `d ${entry.mode} ${entry.path}\0`;
    case "file":
      return `f ${entry.mode} ${entry.hash} ${entry.path}\0`;
    case "link":
      return `l ${entry.path}\0${entry.target}\0`;
    default:
      return entry satisfies never;
  }
}

function itemOf(entry: TreeEntry, tree: BorrowedTree): TarItem {
  const { path } = entry;
  switch (entry.kind) {
    case "dir":
      return { kind: "folder", path, mode: entry.mode };
    case "link":
      return { kind: "link", path, target: entry.target };
    case "file": {
      const { mode, size, hash } = entry;
      const read = () =>
        size > smallBytes ? createReadStream(tree.pathOf(hash)) : [readFileSync(tree.pathOf(hash))];
      return { kind: "file", path, mode, size, read };
    }
    default:
      return entry satisfies never;
  }
}
