// `fetch`, for servers whose certificate is signed by an authority of one's own: Node's can only be told of
// such by its environment.

import { request } from "node:https";
import type { Readable } from "node:stream";

export interface TrustingInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

export function fetchTrusting(
  ca: readonly string[],
  url: string,
  { method = "GET", headers = {}, body, signal }: TrustingInit,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, ca: [...ca], ...(signal && { signal }) });
    sent.once("error", reject);
    sent.once("response", (incoming) => {
      const status = incoming.statusCode ?? 500;
      const isEmpty = status === 204 || status === 304;
      const content = isEmpty ? null : streamOf(incoming);
      const known = Object.entries(incoming.headers).flatMap(([name, value]): [string, string][] =>
        typeof value === "string" ? [[name, value]] : [],
      );
      resolve(new Response(content, { status, headers: known }));
    });
    sent.end(body);
  });
}

function streamOf(incoming: Readable): ReadableStream<Uint8Array> {
  const chunks = incoming[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (error) {
          controller.error(error);
        }
      },
      cancel: () => void incoming.destroy(),
    },
    { highWaterMark: 0 },
  );
}
