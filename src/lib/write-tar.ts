// Writes a tar stream: the old form with GNU's long names, since those may be any bytes.

export type TarItem =
  | { readonly kind: "folder"; readonly path: string; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly mode: number;
      readonly size: number;
      read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
    };

const block = 512;
/** One for all, so that equal files make equal archives; in the time that zip knows. */
const changedAt = Date.UTC(2000, 0, 1) / 1000;

/** Paths and targets are byte strings: each character is a byte. */
export async function* writeTar(items: Iterable<TarItem>): AsyncGenerator<Uint8Array> {
  for (const item of items) {
    const path = item.kind === "folder" ? `${item.path}/` : item.path;
    if (path.length > 99) yield* longName("L", path);
    if (item.kind === "link" && item.target.length > 99) yield* longName("K", item.target);
    const size = item.kind === "file" ? item.size : 0;
    yield header({
      path,
      type: { folder: "5", link: "2", file: "0" }[item.kind],
      mode: item.kind === "link" ? 0o777 : item.mode,
      size,
      target: item.kind === "link" ? item.target : "",
    });
    if (item.kind !== "file") continue;
    let length = 0;
    for await (const chunk of item.read()) {
      length += chunk.length;
      yield chunk;
    }
    if (length !== size)
      throw new Error(`${Buffer.from(path, "latin1")} has ${length} bytes, not ${size}`);
    yield* padding(size);
  }
  yield Buffer.alloc(2 * block);
}

function* longName(type: "L" | "K", name: string): Generator<Uint8Array> {
  const bytes = Buffer.from(`${name}\0`, "latin1");
  yield header({ path: "././@LongLink", type, mode: 0, size: bytes.length, target: "" });
  yield bytes;
  yield* padding(bytes.length);
}

function* padding(size: number): Generator<Uint8Array> {
  const over = size % block;
  if (over > 0) yield Buffer.alloc(block - over);
}

function header(fields: {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly size: number;
  readonly target: string;
}): Buffer {
  const bytes = Buffer.alloc(block);
  bytes.write(fields.path.slice(0, 99), 0, "latin1");
  writeOctal(bytes, fields.mode, { at: 100, length: 8 });
  writeOctal(bytes, 0, { at: 108, length: 8 });
  writeOctal(bytes, 0, { at: 116, length: 8 });
  writeOctal(bytes, fields.size, { at: 124, length: 12 });
  writeOctal(bytes, changedAt, { at: 136, length: 12 });
  bytes.write("        ", 148, "latin1");
  bytes.write(fields.type, 156, "latin1");
  bytes.write(fields.target.slice(0, 99), 157, "latin1");
  bytes.write("ustar  \0", 257, "latin1");
  let sum = 0;
  for (const byte of bytes) sum += byte;
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

function writeOctal(
  bytes: Buffer,
  value: number,
  { at, length }: { readonly at: number; readonly length: number },
): void {
  const text = value.toString(8);
  if (text.length < length) {
    bytes.write(`${text.padStart(length - 1, "0")}\0`, at, "latin1");
    return;
  }
  // Beyond 8 GiB: binary.
  bytes.writeBigUInt64BE(BigInt(value), at + length - 8);
  bytes[at] = 0x80;
}
