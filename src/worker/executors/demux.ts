// Docker sends stdout and stderr of a container over one stream, in frames: a header of 8 bytes (stream
// number, three zeros, length as a big-endian 32-bit number), then that many bytes.

const headerSize = 8;

export type FrameVisitor = (stream: number, from: number, to: number) => void;

/** Returns a function that finds the payloads in a stream's chunks, however those are cut. */
export function createFrameReader(): (chunk: Buffer, visit: FrameVisitor) => void {
  const header = Buffer.alloc(headerSize);
  let headerBytes = 0;
  let payloadLeft = 0;

  return (chunk, visit) => {
    let read = 0;
    while (read < chunk.length) {
      if (payloadLeft > 0) {
        const length = Math.min(payloadLeft, chunk.length - read);
        payloadLeft -= length;
        read += length;
        visit(header[0]!, read - length, read);
        continue;
      }
      const length = Math.min(headerSize - headerBytes, chunk.length - read);
      chunk.copy(header, headerBytes, read, read + length);
      headerBytes += length;
      read += length;
      if (headerBytes < headerSize) break;
      headerBytes = 0;
      if (header[0]! > 2 || header[1] !== 0 || header[2] !== 0 || header[3] !== 0) {
        throw new Error("the engine's output stream is not in frames");
      }
      payloadLeft = header.readUInt32BE(4);
    }
  };
}

/**
 * Returns a function that strips the frame headers from a stream's chunks.
 *
 * The payloads are moved together inside the given chunk, which is cheaper than a slice and a write for
 * each frame: programs that print line by line make thousands of small frames.
 */
export function createDemux(readFrames = createFrameReader()): (chunk: Buffer) => Buffer {
  return (chunk) => {
    let written = 0;
    readFrames(chunk, (_, from, to) => {
      if (from !== written) chunk.copyWithin(written, from, to);
      written += to - from;
    });
    return chunk.subarray(0, written);
  };
}
