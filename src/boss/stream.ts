import { encodeSse, type SseMessage, sseKeepAlive } from "../lib/sse.js";
import { sseResponse } from "../wire/stream.js";

export function streamSse(produce: (signal: AbortSignal) => AsyncIterable<SseMessage>): Response {
  return sseResponse(async function* (signal) {
    // A first comment makes proxies and browsers show the stream as open before anything has happened.
    yield sseKeepAlive;
    for await (const message of produce(signal)) yield encodeSse(message);
  });
}
