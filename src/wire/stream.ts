// Async generators as response bodies: nothing is produced before the client has taken what came before,
// and a client that goes away ends the generator at once.

import { sseHeaders, sseKeepAlive } from "../lib/sse.js";

export const usualKeepAliveMs = 15_000;

export interface StreamOptions {
  /** Besides those that every stream has, or instead of them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once when the stream has ended, whoever ended it. */
  readonly closed?: () => void;
  /** Given: sent whenever nothing else was for `keepAliveMs`, unless `mayKeepAlive` says no. */
  readonly keepAlive?: string;
  readonly keepAliveMs?: number;
  readonly mayKeepAlive?: () => boolean;
}

// Said here so that the server does not wait for a second chunk before it sends the first.
const streamed = { "transfer-encoding": "chunked" } as const;

export function bytesResponse(
  produce: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  options: StreamOptions = {},
): Response {
  return new Response(streamOf(produce, options), {
    headers: {
      "content-type": "application/octet-stream",
      "cache-control": "no-store",
      // Behind nginx too the bytes are passed on as they come.
      "x-accel-buffering": "no",
      ...options.headers,
      ...streamed,
    },
  });
}

export function sseResponse(
  produce: (signal: AbortSignal) => AsyncIterable<string>,
  options: StreamOptions = {},
): Response {
  return new Response(streamOf(encoded(produce), { keepAlive: sseKeepAlive, ...options }), {
    headers: { ...sseHeaders, ...options.headers, ...streamed },
  });
}

/** One for all: nobody reads it, and to make one takes the stack. */
const left = new Error("nobody reads the stream any more");

function encoded(produce: (signal: AbortSignal) => AsyncIterable<string>) {
  return async function* (signal: AbortSignal) {
    for await (const text of produce(signal)) yield Buffer.from(text);
  };
}

function streamOf(
  produce: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  { closed, keepAlive, keepAliveMs = usualKeepAliveMs, mayKeepAlive = () => true }: StreamOptions,
): ReadableStream<Uint8Array> {
  const leaving = new AbortController();
  const chunks = produce(leaving.signal)[Symbol.asyncIterator]();
  let next: Promise<IteratorResult<Uint8Array>> | null = null;
  let ended = false;
  const end = () => {
    if (ended) return;
    ended = true;
    leaving.abort(left);
    // return() waits for a next() under way, which the signal ends.
    void chunks.return?.(undefined).catch(() => {});
    closed?.();
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          next ??= chunks.next();
          for (;;) {
            const result = keepAlive ? await settledWithin(next, keepAliveMs) : await next;
            if (result === null && !mayKeepAlive()) continue;
            if (result === null) controller.enqueue(Buffer.from(keepAlive!));
            else {
              next = null;
              if (!result.done) controller.enqueue(result.value);
              else {
                end();
                controller.close();
              }
            }
            return;
          }
        } catch (error) {
          if (ended) return;
          end();
          controller.error(error);
        }
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}

/** Null where the time was up first. */
function settledWithin<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(null), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
