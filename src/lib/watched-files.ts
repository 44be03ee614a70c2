// Tells when one of some files may have changed, come or gone, whatever becomes of the folders around it.

import { existsSync, type FSWatcher, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export class WatchedFiles {
  readonly #onChange: () => void;
  readonly #folders = new Map<string, FSWatcher>();
  #awaited = new Set<string>();

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** From now on these; to be called again after each change, since folders may be others by then. */
  watch(files: readonly string[]): void {
    const paths = files.map((file) => resolve(file));
    this.#awaited = new Set(paths.map(firstToCome));
    // Folders, not files: an editor that saves by rename would take the watched file away.
    const folders = new Set([...this.#awaited].map((path) => dirname(path)));
    for (const folder of this.#folders.keys()) if (!folders.has(folder)) this.#leave(folder);
    for (const folder of folders) this.#enter(folder);
    // What came or went before its folder was watched.
    const isLate = paths.some((path) => !this.#awaited.has(firstToCome(path)));
    if (isLate) this.#onChange();
  }

  close(): void {
    for (const folder of [...this.#folders.keys()]) this.#leave(folder);
  }

  #enter(folder: string): void {
    if (this.#folders.has(folder)) return;
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        // Its own name: it was removed, or moved away, and one that is made in its place is another.
        const isGone = name === basename(folder);
        if (isGone) this.#leave(folder);
        if (isGone || name === null || this.#awaited.has(join(folder, name))) this.#onChange();
      });
      watcher.on("error", () => this.#leave(folder));
      this.#folders.set(folder, watcher);
    } catch {
      // It is gone again; whoever asked for its files has been told that they are missing.
    }
  }

  #leave(folder: string): void {
    this.#folders.get(folder)?.close();
    this.#folders.delete(folder);
  }
}

/** The file, or where its folder is not there the first of its folders that is missing. */
function firstToCome(path: string): string {
  let first = path;
  while (!existsSync(dirname(first)) && dirname(first) !== first) first = dirname(first);
  return first;
}
