// Files of a known tree that need not be looked at, by git's word.
//
// The index holds how a file looked: its times, size and inode. Where that is how it looked when we read it, and git finds
// that it still looks so, then it does. Of times git compares the seconds alone; that will do, since a file is known by
// its look only if it was two seconds old when it was read (`unsureMs`), and whatever is done to a file gives it the time
// of now (ctime), which nobody can set. What git thinks of a file's content plays no part: filters and line ends may
// make two contents one for git.

import type { GitIndex } from "./git-index.js";
import { statNumbers } from "./git-index.js";
import type { KnownTree } from "./stat-cache.js";

const numberLimit = 2 ** 32;

export class Vouched {
  readonly #known: KnownTree;
  readonly #index: GitIndex;
  /** For each entry of the known tree: 1 for yes. */
  readonly entries: Uint8Array;
  /** For each path of the index: which entry, or -1. */
  readonly #entryOf: Int32Array;

  constructor(known: KnownTree, index: GitIndex) {
    this.#known = known;
    this.#index = index;
    this.entries = new Uint8Array(known.tree.paths.length);
    this.#entryOf = new Int32Array(index.paths.length).fill(-1);
    this.#compare();
  }

  #compare(): void {
    const { paths, stats } = this.#index;
    const { tree, stamps } = this.#known;
    let at = 0;
    for (const [entry, path] of tree.paths.entries()) {
      while (at < paths.length && paths[at]! < path) at += 1;
      if (at === paths.length) return;
      if (paths[at] !== path || !tree.isFile(entry)) continue;
      const slot = at * statNumbers;
      if (
        stats[slot] === stamps.sizeAt(entry) % numberLimit &&
        stats[slot + 1] === stamps.inoAt(entry) % numberLimit &&
        stats[slot + 2] === stamps.mtimeMsAt(entry) &&
        stats[slot + 3] === stamps.ctimeMsAt(entry)
      ) {
        this.entries[entry] = 1;
        this.#entryOf[at] = entry;
      }
    }
  }

  /** Git has found that they look otherwise. */
  except(touched: Iterable<string>): void {
    for (const path of touched) {
      const entry = this.#known.tree.indexOf(path);
      if (entry >= 0) this.entries[entry] = 0;
    }
  }

  none(): void {
    this.entries.fill(0);
  }

  /** Tracked files that are to be looked at. */
  others(): string[] {
    return this.#index.paths.filter((_, at) => {
      const entry = this.#entryOf[at]!;
      return entry < 0 || this.entries[entry] === 0;
    });
  }
}
