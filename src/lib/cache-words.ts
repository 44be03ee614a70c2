// What a pipedef and a worker agree on about caches, as texts: which paths may be kept, and how a key says that it is
// made of the contents of files.

/** What is wrong with it, as the end of a sentence; null: nothing. */
export function cachePathProblem(path: string): string | null {
  if (path === "" || path.length > 1024 || /\p{Cc}/u.test(path))
    return "must be a path of one line";
  if (path.startsWith("~"))
    return "must be absolute, or below the folder that the command starts in";
  if (/[*?]/.test(path)) return "must name a folder, not a pattern";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) return 'must not hold ".."';
  return parts.length === 0 ? "must be a folder inside the sandbox" : null;
}

/** Stands in a key for the hash of files, which is known where the code under test is known. */
export function hashFilesText(patterns: readonly string[]): string {
  return `{{hashFiles ${JSON.stringify(patterns)}}}`;
}

const hashFilesForm = /\{\{hashFiles (\[(?:"(?:[^"\\]|\\.)*",?)+\])\}\}/g;

export function namesFiles(key: string): boolean {
  return key.search(hashFilesForm) >= 0;
}

/** The key with each such text replaced by what `hash` gives for its patterns. */
export function withHashes(key: string, hash: (patterns: readonly string[]) => string): string {
  return key.replace(hashFilesForm, (text, list: string) => {
    const patterns = patternsIn(list);
    return patterns === null ? text : hash(patterns);
  });
}

function patternsIn(list: string): string[] | null {
  try {
    const parsed: unknown = JSON.parse(list);
    return Array.isArray(parsed) && parsed.every((one) => typeof one === "string") ? parsed : null;
  } catch {
    return null;
  }
}
