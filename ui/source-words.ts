// What code a run tested, as short as it can be recognized.

import type { RunSource } from "../src/model/events.js";

const shortHash = 10;

/** "main 1a2b3c4d5e + changes"; "12 files, not in a repo". */
export function sourceWords(source: RunSource): string {
  if (source.kind === "git") {
    const repo = source.url.replace(/\/+$/, "").split(/[/:]/).at(-1) ?? source.url;
    return `${repo.replace(/\.git$/, "")} ${source.ref} ${source.commit.slice(0, shortHash)}`;
  }
  const { commit, branch, dirty, files } = source;
  if (commit === null) {
    return `${files} ${files === 1 ? "file" : "files"}, ${dirty === undefined ? "not in a repo" : "no commit yet"}`;
  }
  return [branch, commit.slice(0, shortHash), dirty && "+ changes"].filter(Boolean).join(" ");
}

/** All of it, for who wants to find it again. */
export function sourceTitle(source: RunSource): string {
  const from = source.kind === "git" ? `${source.url}, ${source.ref}` : "the boss's working tree";
  return `From ${from}; commit ${source.commit ?? "none"}; tree ${source.tree}`;
}
