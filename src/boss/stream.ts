// Answers that go on: bytes and server-sent events, pulled from a generator at the reader's own pace.

import { encodeSse, type SseMessage, sseHeaders, sseKeepAlive } from "../lib/sse.js";

const keepAliveMs = 15_000;

/** The generator is given a signal that says the reader has left. */
export function streamBytes(
  produce: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  headers: Record<string, string>,
): Response {
  return new Response(pulledStream(produce), { headers });
}

export function streamSse(produce: (signal: AbortSignal) => AsyncIterable<SseMessage>): Response {
  const encoder = new TextEncoder();
  async function* frames(signal: AbortSignal) {
    // A first comment makes proxies and browsers show the stream as open before anything has happened.
    yield encoder.encode(sseKeepAlive);
    for await (const message of withKeepAlive(produce(signal))) {
      yield encoder.encode(message === null ? sseKeepAlive : encodeSse(message));
    }
  }
  return new Response(pulledStream(frames), { headers: sseHeaders });
}

function pulledStream(
  produce: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): ReadableStream<Uint8Array> {
  const left = new AbortController();
  const iterator = produce(left.signal)[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await iterator.next();
          if (next.done) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          if (!left.signal.aborted) controller.error(error);
        }
      },
      async cancel() {
        left.abort();
        await iterator.return?.();
      },
    },
    // One chunk in hand at the most: what a slow reader has not taken stays in the log.
    { highWaterMark: 0 },
  );
}

/** Null where nothing came for a while. */
async function* withKeepAlive<T>(source: AsyncIterable<T>): AsyncGenerator<T | null> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      for (;;) {
        const first = await orAfter(next, keepAliveMs);
        if (first === "late") {
          yield null;
          continue;
        }
        if (first.done) return;
        yield first.value;
        break;
      }
    }
  } finally {
    // Not awaited: it may be waiting for an event, and ends by its signal.
    void iterator.return?.();
  }
}

function orAfter<T>(promise: Promise<T>, ms: number): Promise<T | "late"> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve("late"), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
