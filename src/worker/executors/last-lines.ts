/** The end of what something printed, for messages. */
export class LastLines {
  #text = Buffer.alloc(0);

  push(bytes: Uint8Array): void {
    this.#text = Buffer.concat([this.#text, bytes]).subarray(-keptBytes);
  }

  /** The last so many that are not empty. */
  lines(most: number): string[] {
    const whole = this.#text.toString().split(/[\r\n]+/);
    // The first may have lost its beginning.
    if (this.#text.length >= keptBytes) whole.shift();
    return whole
      .map((line) => line.trimEnd())
      .filter((line) => line !== "")
      .slice(-most)
      .map((line) => (line.length > longestLine ? `${line.slice(0, longestLine)}...` : line));
  }
}

const keptBytes = 8192;
const longestLine = 300;
