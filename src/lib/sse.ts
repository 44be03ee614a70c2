// Server-sent events, both directions. https://html.spec.whatwg.org/multipage/server-sent-events.html

export interface SseMessage {
  readonly event: string;
  readonly data: string;
  readonly id?: string;
}

/** A line break in `data` becomes a second `data:` line; the reader gets "\n" back for "\r" and "\r\n" too. */
export function encodeSse({ event, data, id }: SseMessage): string {
  const lines = data.split(/\r\n|\n|\r/).map((line) => `data: ${line}\n`);
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return `event: ${event}\n${idLine}${lines.join("")}\n`;
}

export const sseKeepAlive = ": keep-alive\n\n";

export const sseHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  // nginx buffers responses unless told otherwise, and a buffered event is a late one.
  "x-accel-buffering": "no",
} as const;

/**
 * Yields the messages of a stream of bytes, whatever the sizes of its chunks. Lines may end in "\n" or
 * "\r\n"; no server in this field ends them in a bare "\r".
 */
export async function* parseSse(
  chunks: AsyncIterable<Uint8Array>,
  { maxMessageLength = 256 * 2 ** 20 } = {},
): AsyncGenerator<SseMessage> {
  const decoder = new TextDecoder();
  let unfinished = "";
  let event = "";
  let id: string | undefined;
  let data: string[] = [];
  let length = 0;

  for await (const chunk of chunks) {
    // Only the new text is searched: a long line must not be scanned again for each of its chunks.
    const text = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      let line = unfinished + text.slice(start, end);
      unfinished = "";
      start = end + 1;
      if (line.endsWith("\r")) line = line.slice(0, -1);
      if (line === "") {
        if (data.length > 0) {
          yield {
            event: event || "message",
            data: data.join("\n"),
            ...(id !== undefined && { id }),
          };
        }
        event = "";
        data = [];
        length = 0;
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
      if (field === "event") event = value;
      else if (field === "data") data.push(value);
      else if (field === "id") id = value;
      length += value.length;
    }
    unfinished += text.slice(start);
    if (length + unfinished.length > maxMessageLength) throw new Error("SSE message too long");
  }
}
