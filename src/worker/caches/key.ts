// A key's last word: hashes of files in place of what stands for them.

import { createHash } from "node:crypto";
import { withHashes } from "../../lib/cache-words.js";
import { filePattern, patternProblem } from "../../lib/file-pattern.js";
import type { Manifest } from "../../source/manifest.js";

export class NoSuchFiles extends Error {}

/** `tree`: asked for where the key is made of files. Rejects where none of a pattern list's files are there. */
export async function keyWithHashes(
  key: string,
  tree: () => Promise<Manifest | null>,
): Promise<string> {
  const hashes = new Map<string, string>();
  const lists: (readonly string[])[] = [];
  withHashes(key, (patterns) => {
    lists.push(patterns);
    return "";
  });
  for (const patterns of lists) {
    const manifest = await tree();
    if (!manifest) throw new NoSuchFiles("no files are known to hash");
    hashes.set(JSON.stringify(patterns), hashOfFiles(patterns, manifest));
  }
  return withHashes(key, (patterns) => hashes.get(JSON.stringify(patterns)) ?? "");
}

/** Of the names and contents of what matches, in the order of the tree. */
function hashOfFiles(patterns: readonly string[], manifest: Manifest): string {
  for (const text of patterns) {
    const problem = patternProblem(text);
    if (problem !== null) throw new NoSuchFiles(`hashFiles: ${text} ${problem}`);
  }
  const wanted = patterns.map(filePattern);
  const digest = createHash("sha256");
  let count = 0;
  for (const entry of manifest) {
    if (entry.kind === "dir") continue;
    const name = Buffer.from(entry.path, "latin1").toString();
    if (!wanted.some((pattern) => pattern.matches(name))) continue;
    count += 1;
    const content = entry.kind === "link" ? `link ${entry.target}` : entry.hash;
    digest.update(`${entry.path}\0${content}\0`, "latin1");
  }
  if (count === 0) throw new NoSuchFiles(`hashFiles: there is no file ${patterns.join(", ")}`);
  return digest.digest("hex").slice(0, 20);
}
