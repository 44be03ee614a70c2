// Many contents in one stream: for each its hash (32 bytes), its length (8 bytes), its bytes.

const headBytes = 40;

function packHead(hash: string, length: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head.write(hash, "hex");
  head.writeBigUInt64BE(BigInt(length), 32);
  return head;
}

export interface PackedFile {
  readonly hash: string;
  readonly size: number;
  readonly read: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const chunkBytes = 256 * 1024;

/** Small files together: a write for each would cost more than the file. */
export async function* pack(files: Iterable<PackedFile>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  for (const { hash, size, read } of files) {
    waiting.push(packHead(hash, size));
    bytes += headBytes;
    for await (const piece of read()) {
      waiting.push(piece);
      bytes += piece.length;
      if (bytes < chunkBytes) continue;
      yield Buffer.concat(waiting);
      waiting = [];
      bytes = 0;
    }
  }
  if (bytes > 0) yield Buffer.concat(waiting);
}

export interface PackTaker {
  begin(hash: string, length: number): void;
  /** All of the pieces are `length` bytes together. */
  piece(bytes: Uint8Array): void;
  end(): void;
}

/** Throws where the stream ends in the middle. */
export async function unpack(stream: AsyncIterable<Uint8Array>, taker: PackTaker): Promise<void> {
  const head = Buffer.alloc(headBytes);
  let headLength = 0;
  let left = 0;
  for await (const chunk of stream) {
    for (let at = 0; at < chunk.length; ) {
      if (left > 0) {
        const piece = chunk.subarray(at, at + left);
        taker.piece(piece);
        at += piece.length;
        left -= piece.length;
        if (left === 0) taker.end();
        continue;
      }
      const part = chunk.subarray(at, at + headBytes - headLength);
      head.set(part, headLength);
      headLength += part.length;
      at += part.length;
      if (headLength < headBytes) continue;
      headLength = 0;
      left = Number(head.readBigUInt64BE(32));
      taker.begin(head.toString("hex", 0, 32), left);
      if (left === 0) taker.end();
    }
  }
  if (left > 0 || headLength > 0) throw new Error("the stream was cut");
}
