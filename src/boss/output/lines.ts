/** Cuts a stream of bytes into lines of text, whatever the sizes of its chunks. */
export class LineSplitter {
  // A byte order mark is a byte like others: the task printed it.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #unfinished = "";

  push(bytes: Uint8Array): string[] {
    return this.#split(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The last line, if it has no line break. */
  end(): string[] {
    const lines = this.#split(this.#decoder.decode());
    if (this.#unfinished !== "") lines.push(this.#unfinished);
    this.#unfinished = "";
    return lines;
  }

  #split(text: string): string[] {
    const lines = text.split("\n");
    lines[0] = this.#unfinished + lines[0];
    this.#unfinished = lines.pop()!;
    return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  }
}
