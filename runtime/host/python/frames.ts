import { FromInterpreter } from "../../../src/wire/python-bridge.js";

const newline = 10;

/** Cuts the interpreter's stream into messages and the raw bytes that follow some of them. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<{ message: FromInterpreter; payload: Buffer }> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const end = this.#rest.indexOf(newline);
      if (end < 0) return;
      const message = FromInterpreter.parse(JSON.parse(this.#rest.toString("utf8", 0, end)));
      const size = "bytes" in message ? message.bytes : 0;
      if (this.#rest.length < end + 1 + size) return;
      const payload = this.#rest.subarray(end + 1, end + 1 + size);
      this.#rest = this.#rest.subarray(end + 1 + size);
      yield { message, payload };
    }
  }
}
