import { FromInterpreter } from "../../../src/wire/python-bridge.js";

const newline = 10;
/** Of one message, and of the bytes behind it: no pipedef may fill the memory of its boss. */
const mostBytes = 32 * 1024 * 1024;

interface Frame {
  readonly message: FromInterpreter;
  readonly payload: Buffer;
}

/** Cuts the interpreter's stream into messages and the raw bytes that follow some of them. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;
  /** The one whose bytes have not all come. */
  #message: FromInterpreter | null = null;

  /** To be iterated to its end. Throws where what comes is no message, or too large for one: after what came whole. */
  *read(chunk: Buffer): Generator<Frame> {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length > 2 * mostBytes) throw new Error(`${this.#length} bytes without an end`);
    // Put together when there is an end to it, not chunk by chunk; what came before has been looked through.
    const isWhole = this.#message ? this.#length >= sizeOf(this.#message) : chunk.includes(newline);
    if (!isWhole) return;
    let rest = Buffer.concat(this.#chunks);
    for (;;) {
      if (!this.#message) {
        const end = rest.indexOf(newline);
        if (end < 0) break;
        this.#message = FromInterpreter.parse(JSON.parse(rest.toString("utf8", 0, end)));
        rest = rest.subarray(end + 1);
      }
      const size = sizeOf(this.#message);
      if (rest.length < size) break;
      const frame = { message: this.#message, payload: rest.subarray(0, size) };
      rest = rest.subarray(size);
      this.#message = null;
      yield frame;
    }
    this.#chunks = [rest];
    this.#length = rest.length;
  }
}

function sizeOf(message: FromInterpreter): number {
  const size = "bytes" in message ? message.bytes : 0;
  if (size > mostBytes) throw new Error(`a message of ${size} bytes`);
  return size;
}
