import { posix } from "node:path";

/** Where `path` is below `folder`: "" where it is the same, null where it is elsewhere. */
export function pathWithin(folder: string, path: string): string | null {
  const within = posix.relative(folder, path);
  return within === ".." || within.startsWith("../") ? null : within;
}
