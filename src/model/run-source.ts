import type { RunSource } from "./events.js";

/** "working tree at 1a2b3c4 (main), with changes", "v1.2 of https://host/repo at 1a2b3c4". */
export function describeSource(source: RunSource): string {
  const at = source.commit === null ? "" : ` at ${source.commit.slice(0, 7)}`;
  if (source.kind === "git") return `${source.ref} of ${source.url}${at}`;
  const branch = source.branch === undefined ? "" : ` (${source.branch})`;
  const changes = source.dirty ? ", with changes" : "";
  return `working tree${at}${branch}${changes}`;
}
