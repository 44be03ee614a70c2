// A connection that becomes a stream both ways: the answer's head is read, and not a byte more.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { type Answer, type AnswerHead, AnswerReader, readHead } from "./answer.js";

/** Reads no further than it must: what follows is for whoever reads the stream next. */
export async function untilHead(
  stream: Duplex,
): Promise<{ readonly head: AnswerHead; readonly bytes: Buffer }> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    bytes = Buffer.concat([bytes, await nextOf(stream)]);
    const head = readHead(bytes);
    if (head) return { head, bytes };
  }
}

export async function wholeAnswer(
  stream: Duplex,
  bytes: Buffer,
): Promise<Pick<Answer, "status" | "body">> {
  const reader = new AnswerReader();
  for (let answer = reader.push(bytes); ; ) {
    if (answer) return answer;
    const chunk = await nextOf(stream).catch(() => null);
    answer = chunk ? reader.push(chunk) : reader.end();
    if (!answer && !chunk) throw new Error("the connection was closed");
  }
}

async function nextOf(stream: Duplex): Promise<Buffer> {
  for (;;) {
    const chunk: Buffer | null = stream.read();
    if (chunk) return chunk;
    if (stream.readableEnded) throw new Error("the connection was closed");
    const stop = new AbortController();
    const { signal } = stop;
    try {
      await Promise.race([
        once(stream, "readable", { signal }),
        once(stream, "end", { signal }),
        once(stream, "close", { signal }),
      ]);
    } finally {
      stop.abort();
    }
    if (stream.destroyed) throw stream.errored ?? new Error("the connection was closed");
  }
}
