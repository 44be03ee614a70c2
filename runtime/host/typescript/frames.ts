// Messages on a pipe: length of all, length of the head, head as JSON, bytes. Read here of whoever is at
// the other end, so nothing it sends may cost more than one frame.

const prefixBytes = 8;
/** A source file to transform is the largest thing that travels. */
export const maxFrameBytes = 32 * 1024 * 1024;

export function encodeFrame(head: unknown, body: Uint8Array): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const prefix = Buffer.allocUnsafe(prefixBytes);
  prefix.writeUInt32LE(json.byteLength + body.byteLength, 0);
  prefix.writeUInt32LE(json.byteLength, 4);
  return Buffer.concat([prefix, json, body]);
}

export interface Frame {
  readonly head: unknown;
  readonly body: Uint8Array;
  readonly bytes: number;
}

/** Takes chunks of any size, gives whole frames. Throws where what comes is none: after what came whole. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  /** To be iterated to its end. */
  *read(chunk: Buffer): Generator<Frame> {
    this.#chunks.push(chunk);
    this.#length += chunk.byteLength;
    for (let frame = this.#next(); frame; frame = this.#next()) yield frame;
  }

  #next(): Frame | undefined {
    if (this.#length < prefixBytes) return undefined;
    const prefix = this.#peek(prefixBytes);
    const payload = prefix.readUInt32LE(0);
    const headBytes = prefix.readUInt32LE(4);
    if (payload > maxFrameBytes || headBytes > payload) {
      throw new Error(`a message of ${payload} bytes, with a head of ${headBytes}`);
    }
    const bytes = prefixBytes + payload;
    if (this.#length < bytes) return undefined;
    const all = this.#peek(bytes);
    this.#chunks[0] = all.subarray(bytes);
    this.#length -= bytes;
    const bodyStart = prefixBytes + headBytes;
    const head: unknown = JSON.parse(all.toString("utf8", prefixBytes, bodyStart));
    return { head, body: all.subarray(bodyStart, bytes), bytes };
  }

  /** The first chunk, made to hold at least so much. */
  #peek(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first && first.byteLength >= bytes) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }
}
