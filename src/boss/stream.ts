import { encodeSse, type SseMessage, sseKeepAlive } from "../lib/sse.js";
import type { LoggedEvent } from "../model/events.js";
import { sseResponse } from "../wire/stream.js";
import type { StreamCount } from "../wire/stream-count.js";

export function streamSse(
  streams: StreamCount,
  produce: (signal: AbortSignal) => AsyncIterable<SseMessage | readonly SseMessage[]>,
): Response {
  return sseResponse(
    streams.counted(async function* (signal) {
      // A first comment makes proxies and browsers show the stream as open before anything has happened.
      yield sseKeepAlive;
      for await (const messages of produce(signal)) {
        yield "event" in messages ? encodeSse(messages) : messages.map(encodeSse).join("");
      }
    }),
  );
}

export function eventMessage(logged: LoggedEvent): SseMessage {
  return { event: logged.event.type, id: String(logged.seq), data: JSON.stringify(logged) };
}
