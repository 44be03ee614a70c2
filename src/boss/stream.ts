import { encodeSse, type SseMessage, sseKeepAlive } from "../lib/sse.js";
import { sseResponse } from "../wire/stream.js";

/** How many event streams are open. */
export class StreamCount {
  #open = 0;

  get open(): number {
    return this.#open;
  }

  enter(): void {
    this.#open += 1;
  }

  leave(): void {
    this.#open -= 1;
  }
}

export function streamSse(
  streams: StreamCount,
  produce: (signal: AbortSignal) => AsyncIterable<SseMessage>,
): Response {
  return sseResponse(async function* (signal) {
    streams.enter();
    try {
      // A first comment makes proxies and browsers show the stream as open before anything has happened.
      yield sseKeepAlive;
      for await (const message of produce(signal)) yield encodeSse(message);
    } finally {
      streams.leave();
    }
  });
}
