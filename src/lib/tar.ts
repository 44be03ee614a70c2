// Reads a tar stream entry by entry: ustar, with the long names of pax and GNU. Whatever is in it is only read,
// never laid anywhere by this.

export interface TarEntry {
  readonly path: string;
  /** A hard link is a file of which the archive has the bytes under another name, before it. */
  readonly kind: "file" | "hard-link" | "folder" | "link" | "other";
  readonly bytes: number;
  /** Of a link. */
  readonly target?: string;
  /** Absent: the archive does not say it in numbers. */
  readonly modifiedAt?: number;
  /** By its owner. */
  readonly isExecutable: boolean;
  /** To be read before the next entry is asked for; what is not read is skipped. */
  content(): AsyncGenerator<Uint8Array>;
}

interface Extended {
  path?: string;
  target?: string;
  size?: number;
  modifiedAt?: number;
}

const block = 512;
/** Of a name or an extended header. */
const longestHeader = 1024 * 1024;

export async function* readTar(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const source = new ByteSource(chunks);
  let extended: Extended = {};
  for (;;) {
    const header = await source.take(block);
    // Zeros end an archive; so does the end of the stream, for those who write none.
    if (header === null || header.every((byte) => byte === 0)) return;
    checkSum(header);
    const type = String.fromCharCode(header[156]!);
    const bytes = extended.size ?? numberIn(header, 124) ?? 0;
    const padding = (block - (bytes % block)) % block;
    if (["x", "g", "L", "K"].includes(type)) {
      if (bytes > longestHeader) throw new Error("the archive has a header that is too long");
      const body = Buffer.from((await source.take(bytes)) ?? []);
      await source.skip(padding);
      if (type === "x") extended = { ...extended, ...paxFields(body) };
      const name = body.toString().replace(/\0.*$/s, "");
      if (type === "L") extended = { ...extended, path: name };
      if (type === "K") extended = { ...extended, target: name };
      continue;
    }
    const path = extended.path ?? nameIn(header);
    const target = extended.target ?? text(header, 157, 257);
    const seconds = numberIn(header, 136);
    const modifiedAt = extended.modifiedAt ?? (seconds === null ? null : seconds * 1_000);
    extended = {};
    let left = hasContent(type) ? bytes : 0;
    async function* content() {
      while (left > 0) {
        const part = await source.some(left);
        if (!part) throw new Error(`the archive ends in the middle of ${path}`);
        left -= part.length;
        yield part;
      }
    }
    const isExecutable = (Number.parseInt(text(header, 100, 108).trim() || "0", 8) & 0o100) !== 0;
    const kind = kindOf(type);
    yield {
      ...{ path, kind, bytes: left, ...(kind === "link" && { target }) },
      ...{ ...(modifiedAt !== null && { modifiedAt }), isExecutable, content },
    };
    await source.skip(left + (hasContent(type) ? padding : 0));
  }
}

function kindOf(type: string): TarEntry["kind"] {
  if (type === "0" || type === "\0" || type === "7") return "file";
  if (type === "5") return "folder";
  if (type === "1") return "hard-link";
  return type === "2" ? "link" : "other";
}

/** Links and folders may name a size, and have no content all the same. */
function hasContent(type: string): boolean {
  return !["1", "2", "3", "4", "5", "6"].includes(type);
}

function checkSum(header: Uint8Array): void {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  const stored = Number.parseInt(text(header, 148, 156).trim(), 8);
  if (sum !== stored) throw new Error("the archive is damaged");
}

function nameIn(header: Uint8Array): string {
  const name = text(header, 0, 100);
  const isUstar = text(header, 257, 262) === "ustar";
  const prefix = isUstar ? text(header, 345, 500) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** A size or a time. */
function numberIn(header: Uint8Array, from: number): number | null {
  // Those that need more than eleven digits are binary: sizes beyond 8 GiB.
  if ((header[from]! & 0x80) !== 0) {
    let number = header[from]! & 0x7f;
    for (let at = from + 1; at < from + 12; at++) number = number * 256 + header[at]!;
    return number;
  }
  const number = Number.parseInt(text(header, from, from + 12).trim() || "0", 8);
  return Number.isNaN(number) ? null : number;
}

function text(header: Uint8Array, from: number, to: number): string {
  return Buffer.from(header.subarray(from, to)).toString().replace(/\0.*$/s, "");
}

/** Lines of "LENGTH KEY=VALUE\n", the length counting itself. */
function paxFields(body: Buffer): Extended {
  const fields: Extended = {};
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(32, at);
    const length = Number(body.subarray(at, space).toString());
    if (space < 0 || !Number.isInteger(length) || length < 5) break;
    const field = body.subarray(space + 1, at + length - 1).toString();
    const equals = field.indexOf("=");
    const value = field.slice(equals + 1);
    if (field.startsWith("path=")) fields.path = value;
    if (field.startsWith("linkpath=")) fields.target = value;
    if (field.startsWith("mtime=") && /^\d{1,15}(\.\d*)?$/.test(value))
      fields.modifiedAt = Number(value) * 1_000;
    if (field.startsWith("size=") && /^\d{1,15}$/.test(value)) fields.size = Number(value);
    at += length;
  }
  return fields;
}

class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At least one byte, at most so many; null at the end. */
  async some(most: number): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return null;
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** Null where there is nothing more. */
  async take(bytes: number): Promise<Uint8Array | null> {
    const parts: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      if (!part && parts.length === 0) return null;
      if (!part) throw new Error("the archive ends in the middle");
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      if (!part) return;
      left -= part.length;
    }
  }
}
