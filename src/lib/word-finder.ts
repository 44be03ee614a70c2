// Finds any of many words in a stream of bytes, in one pass (Aho-Corasick). Line breaks are looked through: a
// word that was wrapped is found as well.
//
// States are numbered by depth, the root first. Those near the root, where nearly every byte of ordinary
// output ends up, have a full row in a table; the many deeper ones just know their children.

const lineFeed = 10;
const carriageReturn = 13;
const mostRows = 1024;
const none = -1;

export function isLineBreak(byte: number | undefined): boolean {
  return byte === lineFeed || byte === carriageReturn;
}

export class WordFinder {
  static readonly start = 0;
  /** Of a state: the length of the longest word that ends here; 0 where none does. */
  readonly found: Int32Array;
  /** Of a state: how many bytes before it may become part of a word, and are none yet. */
  readonly pending: Int32Array;
  /** The length of the longest word. */
  readonly longest: number;
  /** The next state for each byte, 256 a state, for the first `rowCount` states. */
  readonly rows: Int32Array;
  readonly rowCount: number;
  readonly #fallback: Int32Array;
  readonly #trie: Trie;

  /** Of the words, line breaks do not count. */
  constructor(words: Iterable<Uint8Array>) {
    const trie = trieOf(words);
    const size = trie.byte.length;
    this.#trie = trie;
    this.found = new Int32Array(size);
    this.pending = new Int32Array(size);
    this.#fallback = new Int32Array(size);
    this.longest = trie.depth[size - 1]!;
    this.rowCount = Math.min(size, mostRows);
    this.rows = new Int32Array(this.rowCount * 256);
    for (let state = WordFinder.start; state < size; state++) {
      // The states to fall back to are shallower, so complete by now.
      const fallback = this.#fallback[state]!;
      const depth = trie.depth[state]!;
      this.found[state] = trie.isWord[state] ? depth : this.found[fallback]!;
      this.pending[state] = trie.isWord[state] ? 0 : depth;
      for (const child of childrenOf(trie, state)) {
        const isFirst = state === WordFinder.start;
        this.#fallback[child] = isFirst ? state : this.next(fallback, trie.byte[child]!);
      }
      if (state < this.rowCount) this.#fillRow(state, fallback);
    }
  }

  #fillRow(state: number, fallback: number): void {
    const row = state * 256;
    if (state !== fallback) this.rows.copyWithin(row, fallback * 256, fallback * 256 + 256);
    for (const child of childrenOf(this.#trie, state)) {
      this.rows[row + this.#trie.byte[child]!] = child;
    }
    this.rows[row + lineFeed] = state;
    this.rows[row + carriageReturn] = state;
  }

  /** The state after one more byte. */
  next(state: number, byte: number): number {
    if (isLineBreak(byte)) return state;
    let from = state;
    while (from >= this.rowCount) {
      const child = childAt(this.#trie, from, byte);
      if (child !== none) return child;
      from = this.#fallback[from]!;
    }
    return this.rows[from * 256 + byte]!;
  }
}

/** Nodes by number, the root 0. Plain arrays, since there may be a million of them. */
interface Trie {
  readonly byte: number[];
  readonly depth: number[];
  readonly isWord: boolean[];
  readonly firstChild: number[];
  readonly nextSibling: number[];
}

function* childrenOf(trie: Trie, node: number): Generator<number> {
  for (let at = trie.firstChild[node]!; at !== none; at = trie.nextSibling[at]!) yield at;
}

function childAt(trie: Trie, node: number, byte: number): number {
  let at = trie.firstChild[node]!;
  while (at !== none && trie.byte[at] !== byte) at = trie.nextSibling[at]!;
  return at;
}

function addNode(trie: Trie, byte: number, parent: number): number {
  const node = trie.byte.length;
  trie.byte.push(byte);
  trie.depth.push(parent === none ? 0 : trie.depth[parent]! + 1);
  trie.isWord.push(false);
  trie.firstChild.push(none);
  trie.nextSibling.push(parent === none ? none : trie.firstChild[parent]!);
  if (parent !== none) trie.firstChild[parent] = node;
  return node;
}

function emptyTrie(): Trie {
  const trie = { byte: [], depth: [], isWord: [], firstChild: [], nextSibling: [] };
  addNode(trie, 0, none);
  return trie;
}

function trieOf(words: Iterable<Uint8Array>): Trie {
  const trie = emptyTrie();
  for (const word of words) {
    let node = 0;
    for (const byte of word) {
      if (isLineBreak(byte)) continue;
      const child = childAt(trie, node, byte);
      node = child === none ? addNode(trie, byte, node) : child;
    }
    if (node !== 0) trie.isWord[node] = true;
  }
  return byDepth(trie);
}

function byDepth(trie: Trie): Trie {
  const sorted = emptyTrie();
  const origin = [0];
  for (let node = 0; node < origin.length; node++) {
    for (const child of childrenOf(trie, origin[node]!)) {
      const copy = addNode(sorted, trie.byte[child]!, node);
      sorted.isWord[copy] = trie.isWord[child]!;
      origin.push(child);
    }
  }
  return sorted;
}
