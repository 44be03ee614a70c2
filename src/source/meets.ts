import type { Manifest } from "./manifest.js";

/** Whether a tree has anything at or below one of the paths, or something other than a folder above one. */
export function meets(manifest: Manifest, paths: readonly string[]): boolean {
  const wanted = paths.map((path) => Buffer.from(path).toString("latin1"));
  return manifest.some(({ kind, path }) =>
    wanted.some(
      (one) =>
        path === one ||
        path.startsWith(`${one}/`) ||
        (kind !== "dir" && one.startsWith(`${path}/`)),
    ),
  );
}
