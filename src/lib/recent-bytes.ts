// The last bytes of a file that grows. Whoever follows it closely takes them from here, all the same ones: without this
// each reader would read them back from the file, into memory of its own.

/** A reader further behind reads the file. */
const mostBytes = 1024 * 1024;

/** What a reader takes at once costs nearly the same, however much it is. */
const joinedBytes = 256 * 1024;

interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export class RecentBytes {
  /** Without a gap between them. */
  #pieces: Piece[] = [];
  #length = 0;
  #followers = 0;

  /** Nothing is kept for nobody. To be called back in the end. */
  follow(): () => void {
    this.#followers += 1;
    return () => {
      this.#followers -= 1;
      if (this.#followers === 0) this.#clear();
    };
  }

  /** What has just been written there. It must not be changed any more. */
  add(start: number, chunks: readonly Uint8Array[]): void {
    if (this.#followers === 0) return;
    const last = this.#pieces.at(-1);
    if (last && last.start + last.bytes.length !== start) this.#clear();
    let at = start;
    for (const bytes of chunks) {
      this.#pieces.push({ start: at, bytes });
      at += bytes.length;
      this.#length += bytes.length;
    }
    let old = 0;
    while (old < this.#pieces.length - 1 && this.#length > mostBytes) {
      this.#length -= this.#pieces[old]!.bytes.length;
      old += 1;
    }
    if (old > 0) this.#pieces = this.#pieces.slice(old);
  }

  /** Some of those from there on; null where they are not here. */
  from(position: number): Uint8Array | null {
    // Readers are near the end.
    for (let n = this.#pieces.length - 1; n >= 0; n--) {
      const { start, bytes } = this.#pieces[n]!;
      if (position < start) continue;
      if (position >= start + bytes.length) return null;
      return position === start ? this.#joined(n) : bytes.subarray(position - start);
    }
    return null;
  }

  /** With those behind it, for all readers who come to it. */
  #joined(n: number): Uint8Array {
    const { start, bytes } = this.#pieces[n]!;
    // To copy them for one reader alone costs more than it spares.
    if (this.#followers === 1) return bytes;
    let length = bytes.length;
    let end = n + 1;
    for (; end < this.#pieces.length; end++) {
      const next = this.#pieces[end]!.bytes.length;
      if (length + next > joinedBytes) break;
      length += next;
    }
    // So no byte is copied for each piece that comes after it, but only when what it is part of has doubled.
    if (length < 2 * bytes.length) return bytes;
    const joined = Buffer.concat(
      this.#pieces.slice(n, end).map((piece) => piece.bytes),
      length,
    );
    this.#pieces.splice(n, end - n, { start, bytes: joined });
    return joined;
  }

  #clear() {
    this.#pieces = [];
    this.#length = 0;
  }
}
