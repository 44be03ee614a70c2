// Numbers of lines, in order, as they come in; a million of them take four megabytes.

export class LineNumbers {
  #numbers = new Uint32Array(1024);
  length = 0;

  add(lines: readonly number[]): void {
    if (this.length + lines.length > this.#numbers.length) {
      const larger = new Uint32Array(
        Math.max(2 * this.#numbers.length, this.length + lines.length),
      );
      larger.set(this.#numbers.subarray(0, this.length));
      this.#numbers = larger;
    }
    this.#numbers.set(lines, this.length);
    this.length += lines.length;
  }

  /** Keeps so many. */
  cut(length: number): void {
    this.length = Math.min(this.length, length);
  }

  at(index: number): number {
    return this.#numbers[index]!;
  }

  /** The place of the first one that is `line` or more; the length where there is none. */
  from(line: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#numbers[middle]! < line) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(line: number): boolean {
    const index = this.from(line);
    return index < this.length && this.#numbers[index] === line;
  }
}
