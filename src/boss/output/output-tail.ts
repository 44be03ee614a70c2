const nothing = new Uint8Array();

/** Keeps the last MiB of what passes through it. */
export class OutputTail {
  static readonly limitBytes = 1024 * 1024;

  readonly #chunks: Uint8Array[] = [];
  #kept = 0;
  total = 0;

  push(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#kept += bytes.length;
    this.total += bytes.length;
    while (this.#kept - this.#chunks[0]!.length >= OutputTail.limitBytes) {
      this.#kept -= this.#chunks.shift()!.length;
    }
  }

  bytes(): Uint8Array {
    if (this.#chunks.length === 0) return nothing;
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, all.length - OutputTail.limitBytes));
  }
}
