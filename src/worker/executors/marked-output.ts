// Output of a container up to the marks by which its first process says that the command has ended, and how.
// There is one on standard output and one on standard error: the engine reads them through two pipes, so that
// one alone proves nothing of the other.

import { createDemux, createFrameReader } from "./demux.js";

export interface MarkedOutput {
  /** What of it the command has written. The chunk is no longer the caller's. */
  push(chunk: Buffer): Buffer;
  /** The command's, as soon as both marks are there. */
  readonly exitCode: number | null;
  /** When the stream has ended: what looked like the beginning of a mark. */
  rest(): Buffer;
}

/** No text in UTF-8 holds this byte, so that a single look tells of most chunks that they have no mark. */
export const markStart = 0xff;
const codeDigits = 3;
const streams = 2;

/** A mark is `start`, which begins with markStart, and then the exit code in three digits. */
export function createMarkedOutput(start: Buffer): MarkedOutput {
  const readFrames = createFrameReader();
  const payloadOf = createDemux(readFrames);
  /** By stream: bytes that may be the beginning of a mark. */
  const held: (Buffer | null)[] = Array(streams + 1).fill(null);
  const codes: (number | null)[] = Array(streams + 1).fill(null);
  let marks = 0;
  let holding = 0;

  function unmarked(stream: number, payload: Buffer, parts: Buffer[]) {
    // From whatever the command has left running.
    if (codes[stream] !== null) return;
    const before = held[stream];
    const bytes = before ? Buffer.concat([before, payload]) : payload;
    if (before) holding -= 1;
    held[stream] = null;
    const found = bytes.indexOf(start);
    const from = found >= 0 ? found : bytes.length - endThatBegins(bytes, start);
    if (from > 0) parts.push(bytes.subarray(0, from));
    const codeAt = from + start.length;
    if (bytes.length >= codeAt + codeDigits) {
      codes[stream] = Number(bytes.toString("latin1", codeAt, codeAt + codeDigits));
      marks += 1;
    } else if (from < bytes.length) {
      // Copied: the chunk may be used anew.
      held[stream] = Buffer.from(bytes.subarray(from));
      holding += 1;
    }
  }

  return {
    get exitCode() {
      return marks < streams ? null : codes[1]!;
    },
    push(chunk) {
      if (marks + holding === 0 && !chunk.includes(markStart)) return payloadOf(chunk);
      const parts: Buffer[] = [];
      readFrames(chunk, (stream, from, to) => unmarked(stream, chunk.subarray(from, to), parts));
      return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    },
    rest() {
      return Buffer.concat(held.filter((bytes) => bytes !== null));
    },
  };
}

/** How many of the last bytes are the first of `start`. */
function endThatBegins(bytes: Buffer, start: Buffer): number {
  let from = bytes.indexOf(start[0]!, Math.max(0, bytes.length - start.length + 1));
  while (from >= 0) {
    if (bytes.subarray(from).equals(start.subarray(0, bytes.length - from))) {
      return bytes.length - from;
    }
    from = bytes.indexOf(start[0]!, from + 1);
  }
  return 0;
}
