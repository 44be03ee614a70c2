// The last bytes of a file that grows. Whoever follows it closely takes them from here, all the same ones: without this
// each reader would read them back from the file, into memory of its own.

/** A reader further behind reads the file. */
const mostBytes = 1024 * 1024;

export class RecentBytes {
  /** Without a gap between them. */
  #pieces: { readonly start: number; readonly bytes: Uint8Array }[] = [];
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

  /** Those from there to the end of their piece; null where they are not here. */
  from(position: number): Uint8Array | null {
    // Readers are near the end.
    for (let n = this.#pieces.length - 1; n >= 0; n--) {
      const { start, bytes } = this.#pieces[n]!;
      if (position < start) continue;
      return position < start + bytes.length ? bytes.subarray(position - start) : null;
    }
    return null;
  }

  #clear() {
    this.#pieces = [];
    this.#length = 0;
  }
}
