// Files of a known tree that need not be looked at, by git's word.
//
// The index holds how a file looked: its times, size and inode. Where that is how it looked when we read it, and git finds
// that it still looks so, then it does. Of times git compares the seconds alone; that will do, since a file is known by
// its look only if it was two seconds old when it was read (`unsureMs`), and whatever is done to a file gives it the time
// of now (ctime), which nobody can set. What git thinks of a file's content plays no part: filters and line ends may
// make two contents one for git.

import type { GitIndex } from "./git-index.js";
import { statNumbers } from "./git-index.js";
import type { ListedTree, Run } from "./listed-tree.js";
import type { Stamps } from "./stat-cache.js";

/** What came of an index and a tree, so that nobody need compare them again while the index stays as it is. */
export interface KnownIndex {
  /** How the index's own file looked. */
  readonly look: string;
  /** How many files it tracks. */
  readonly tracked: number;
  /** The commit that holds the same, as far as one is known. */
  readonly committed: string | null;
  /** For each entry of the tree: 1, where it vouches. */
  readonly entries: Uint8Array;
  /** Tracked files for which it does not. */
  readonly others: readonly string[];
}

/** More than that may well be vouched for once they are compared again. */
const mostOthers = 256;

const numberLimit = 2 ** 32;

export class Vouched {
  /** For each entry of the known tree: 1 for yes. */
  readonly entries: Uint8Array;
  readonly #tree: ListedTree;
  readonly #index: Pick<KnownIndex, "look" | "tracked">;
  #committed: string | null;
  readonly #others: string[];

  private constructor(tree: ListedTree, { entries, others, committed, ...index }: KnownIndex) {
    this.#tree = tree;
    this.#index = index;
    this.#committed = committed;
    this.entries = entries;
    this.#others = [...others];
  }

  static compared(
    { tree, stamps }: { readonly tree: ListedTree; readonly stamps: Stamps },
    { paths, stats }: GitIndex,
    look: string,
  ): Vouched {
    const entries = new Uint8Array(tree.paths.length);
    const others: string[] = [];
    let entry = 0;
    for (const [at, path] of paths.entries()) {
      while (entry < entries.length && tree.paths[entry]! < path) entry += 1;
      const slot = at * statNumbers;
      const isAsItWas =
        tree.paths[entry] === path &&
        tree.isFile(entry) &&
        stats[slot] === stamps.sizeAt(entry) % numberLimit &&
        stats[slot + 1] === stamps.inoAt(entry) % numberLimit &&
        stats[slot + 2] === stamps.mtimeMsAt(entry) &&
        stats[slot + 3] === stamps.ctimeMsAt(entry);
      if (isAsItWas) entries[entry] = 1;
      else others.push(path);
    }
    return new Vouched(tree, { look, tracked: paths.length, committed: null, entries, others });
  }

  static remembered(tree: ListedTree, index: KnownIndex): Vouched {
    return new Vouched(tree, { ...index, entries: index.entries.slice() });
  }

  get tracked(): number {
    return this.#index.tracked;
  }

  get committed(): string | null {
    return this.#committed;
  }

  isCommitted(commit: string): void {
    this.#committed = commit;
  }

  /** Tracked files that are to be looked at. */
  get others(): readonly string[] {
    return this.#others;
  }

  /** Git has found that these look otherwise. */
  except(touched: Iterable<string>): void {
    for (const path of touched) {
      const entry = this.#tree.indexOf(path);
      if (entry < 0 || this.entries[entry] !== 1) continue;
      this.entries[entry] = 0;
      this.#others.push(path);
    }
  }

  none(): void {
    this.entries.fill(0);
  }

  /** Of a tree that has these of our entries. Null: it is to be compared. */
  inTree(tree: ListedTree, runs: readonly Run[]): KnownIndex | null {
    if (this.#others.length > mostOthers) return null;
    const entries = new Uint8Array(tree.paths.length);
    for (const { from, to, count } of runs) {
      entries.set(this.entries.subarray(from, from + count), to);
    }
    const all = (flags: Uint8Array) => flags.reduce((sum, flag) => sum + flag, 0);
    if (all(entries) !== all(this.entries)) return null;
    return { ...this.#index, committed: this.#committed, entries, others: this.#others };
  }
}
