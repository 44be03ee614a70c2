// Files that a command has left, as a worker sends them: each a line of JSON, then its bytes. What they are
// good for stands in the line. Sizes and names are checked by whoever reads a pack; it may come from anywhere.

import * as z from "zod";

const PackedFile = z.object({
  /** Relative to the folder that the command started in, with "/" between its parts. */
  path: z.string(),
  bytes: z.number().int().nonnegative(),
  uses: z.array(z.enum(["results", "artifact"])),
  executable: z.literal(true).exactOptional(),
});
export type PackedFile = z.infer<typeof PackedFile>;

/** Of a file's line. */
const longestLine = 64 * 1024;

export function packedFileLine(file: PackedFile): Buffer {
  return Buffer.from(`${JSON.stringify(file)}\n`);
}

export interface PackTaker {
  begin(file: PackedFile): void | Promise<void>;
  bytes(chunk: Uint8Array): void | Promise<void>;
  end(): void | Promise<void>;
}

/** Takes a pack apart, however it is cut into chunks. */
export class PackReader {
  readonly #taker: PackTaker;
  #line: Uint8Array[] = [];
  #lineBytes = 0;
  /** Of the open file; null: its line is awaited. */
  #left: number | null = null;

  constructor(taker: PackTaker) {
    this.#taker = taker;
  }

  async push(chunk: Uint8Array): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) rest = await this.#step(rest);
  }

  /** Throws where something is missing. */
  end(): void {
    if (this.#left !== null || this.#lineBytes > 0) throw new Error("a pack of files was cut off");
  }

  async #step(chunk: Uint8Array): Promise<Uint8Array> {
    if (this.#left !== null) {
      const part = chunk.subarray(0, this.#left);
      this.#left -= part.length;
      await this.#taker.bytes(part);
      await this.#endIfComplete();
      return chunk.subarray(part.length);
    }
    const lineEnd = chunk.indexOf(10);
    const part = lineEnd < 0 ? chunk : chunk.subarray(0, lineEnd);
    this.#line.push(part);
    this.#lineBytes += part.length;
    if (this.#lineBytes > longestLine)
      throw new Error("a pack of files has a line that is too long");
    if (lineEnd < 0) return new Uint8Array();
    const file = PackedFile.parse(JSON.parse(Buffer.concat(this.#line).toString()));
    this.#line = [];
    this.#lineBytes = 0;
    this.#left = file.bytes;
    await this.#taker.begin(file);
    await this.#endIfComplete();
    return chunk.subarray(lineEnd + 1);
  }

  async #endIfComplete(): Promise<void> {
    if (this.#left !== 0) return;
    this.#left = null;
    await this.#taker.end();
  }
}

/** Whether a path from outside may be kept under its name: relative, and without a step out. */
export function isSafePath(path: string): boolean {
  return (
    path.length <= 4096 &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is refused
    !/[\0-\x1f\x7f\\]/.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}
