import { encodeSse, type SseMessage, sseKeepAlive } from "../lib/sse.js";
import { sseResponse } from "../wire/stream.js";
import type { StreamCount } from "../wire/stream-count.js";

export function streamSse(
  streams: StreamCount,
  produce: (signal: AbortSignal) => AsyncIterable<SseMessage>,
): Response {
  return sseResponse(
    streams.counted(async function* (signal) {
      // A first comment makes proxies and browsers show the stream as open before anything has happened.
      yield sseKeepAlive;
      for await (const message of produce(signal)) yield encodeSse(message);
    }),
  );
}
