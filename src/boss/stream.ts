import { encodeSse, type SseMessage, sseKeepAlive } from "../lib/sse.js";
import type { LoggedEvent } from "../model/events.js";
import { type StreamOptions, sseResponse } from "../wire/stream.js";
import type { StreamCount } from "../wire/stream-count.js";

/** Its data, without a line break, is made as the reader takes it: all of it at once may be too much to hold. */
export interface MessageInPieces {
  readonly event: string;
  readonly pieces: AsyncIterable<string>;
}

export function streamSse(
  streams: StreamCount,
  produce: (
    signal: AbortSignal,
  ) => AsyncIterable<SseMessage | readonly SseMessage[] | MessageInPieces>,
  options: Pick<StreamOptions, "keepAlive" | "keepAliveMs"> = {},
): Response {
  let isWithinMessage = false;
  return sseResponse(
    streams.counted(async function* (signal) {
      // A first comment makes proxies and browsers show the stream as open before anything has happened.
      yield sseKeepAlive;
      for await (const messages of produce(signal)) {
        if ("pieces" in messages) {
          isWithinMessage = true;
          yield `event: ${messages.event}\ndata: `;
          yield* messages.pieces;
          yield "\n\n";
          isWithinMessage = false;
        } else yield "event" in messages ? encodeSse(messages) : messages.map(encodeSse).join("");
      }
    }),
    { ...options, mayKeepAlive: () => !isWithinMessage },
  );
}

/** Several as one message: a browser spends more on a message than on what is in it. */
export function batchMessage(batch: readonly LoggedEvent[]): SseMessage {
  return { event: "run-events", id: String(batch.at(-1)?.seq), data: JSON.stringify(batch) };
}

export function eventMessage(logged: LoggedEvent): SseMessage {
  return { event: logged.event.type, id: String(logged.seq), data: JSON.stringify(logged) };
}
