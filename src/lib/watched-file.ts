import { basename } from "node:path";

/** Whether what a watch of its folder tells of `name` may be about the file. */
export function mayBeAbout(file: string, name: string | null): boolean {
  // What replaces a file often replaces a link instead, whose name is another: "..data" in a cluster.
  return name === null || name === basename(file) || name.startsWith("..");
}
