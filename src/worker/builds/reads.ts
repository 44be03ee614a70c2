// The part of a tree that a command says it reads: a tree of its own, so that the command sees nothing else.

import { type FilePattern, filePattern } from "../../lib/file-pattern.js";
import type { Manifest } from "../../source/manifest.js";

export interface ReadPart {
  readonly manifest: Manifest;
  /** Patterns that mean no file. */
  readonly unmatched: readonly string[];
}

export function partOf(manifest: Manifest, reads: readonly string[]): ReadPart {
  const patterns = reads.map(filePattern);
  const matched = new Set<FilePattern>();
  const taken = new Set<string>();
  for (const { kind, path } of manifest) {
    if (kind === "dir") continue;
    const name = Buffer.from(path, "latin1").toString();
    const hits = patterns.filter((pattern) => pattern.matches(name));
    if (hits.length === 0) continue;
    for (const pattern of hits) matched.add(pattern);
    taken.add(path);
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1))
      taken.add(path.slice(0, at));
  }
  return {
    manifest: manifest.filter(({ path }) => taken.has(path)),
    unmatched: patterns.filter((pattern) => !matched.has(pattern)).map(({ text }) => text),
  };
}
