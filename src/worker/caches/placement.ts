// Where in a sandbox a cached folder lies.

import { posix } from "node:path";

/** In the source, where it is one more layer; or anywhere else, where it is a folder of its own. */
export type CachePlace =
  | { readonly kind: "source"; readonly path: string }
  /** Absolute; or from the folder that the image starts commands in. */
  | { readonly kind: "folder"; readonly path: string };

export interface SandboxPaths {
  readonly workdir: string | undefined;
  /** Where the sandbox sees its source, if it has one. */
  readonly source: string | undefined;
}

export type Placed = CachePlace | { readonly kind: "problem"; readonly message: string };

export function placeOf(path: string, { workdir, source }: SandboxPaths): Placed {
  const start = workdir ?? source;
  const full = withoutSlash(
    path.startsWith("/") || start === undefined ? posix.normalize(path) : posix.join(start, path),
  );
  if (source === undefined) return { kind: "folder", path: full };
  const home = withoutSlash(posix.normalize(source));
  if (`${home}/`.startsWith(`${full}/`)) {
    return { kind: "problem", message: `${path} holds the source itself` };
  }
  return full.startsWith(`${home}/`)
    ? { kind: "source", path: full.slice(home.length + 1) }
    : { kind: "folder", path: full };
}

/** One that lies in another would be kept twice, and hidden. */
export function nestedPlace(places: readonly CachePlace[]): string | null {
  for (const [index, { kind, path }] of places.entries()) {
    const isNested = places.some(
      (other, at) => at !== index && other.kind === kind && `${path}/`.startsWith(`${other.path}/`),
    );
    if (isNested) return path;
  }
  return null;
}

function withoutSlash(path: string): string {
  return path.replace(/\/+$/, "");
}
