// What a pipedef prints goes to the task that prints it.

import { Buffer } from "node:buffer";

const chunkBytes = 256 * 1024;

/** Catches process.stdout, process.stderr, and with them the console. */
export function captureOutput(print: (bytes: Uint8Array) => void): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.write = (
      chunk: unknown,
      encodingOrDone?: BufferEncoding | ((error?: Error | null) => void),
      done?: (error?: Error | null) => void,
    ): boolean => {
      const encoding = typeof encodingOrDone === "string" ? encodingOrDone : "utf8";
      print(bytesOf(chunk, encoding));
      const callback = typeof encodingOrDone === "function" ? encodingOrDone : done;
      if (callback) process.nextTick(callback);
      return true;
    };
  }
}

export function printInChunks(bytes: Uint8Array, print: (bytes: Uint8Array) => void): void {
  for (let start = 0; start < bytes.byteLength; start += chunkBytes) {
    print(bytes.subarray(start, start + chunkBytes));
  }
}

export function bytesOf(chunk: unknown, encoding: BufferEncoding = "utf8"): Uint8Array {
  if (typeof chunk === "string") return Buffer.from(chunk, encoding);
  if (ArrayBuffer.isView(chunk))
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError(`only text and bytes can be written, not ${typeof chunk}`);
}
