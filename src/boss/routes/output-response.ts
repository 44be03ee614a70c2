// What was printed, as an answer: by a task, or by what ran beside it.

import type { Context } from "hono";
import { outputLengthHeader } from "../../wire/boss.js";
import { bytesResponse } from "../../wire/stream.js";
import type { Engine } from "../engine.js";
import { numberParameter } from "../request.js";

/** Which part of an output of that length was asked for. */
export function askedPart(c: Context, length: number): { offset: number; follow: boolean } {
  const tail = numberParameter(c, "tail", { min: 0 });
  const offset =
    tail === undefined
      ? (numberParameter(c, "offset", { min: 0 }) ?? 0)
      : Math.max(0, length - tail);
  return { offset, follow: ["1", "true"].includes(c.req.query("follow") ?? "") };
}

export function outputResponse(
  engine: Engine,
  length: number,
  read: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): Response {
  return bytesResponse(engine.outputStreams.counted(read), {
    headers: {
      // Output is data, whatever it looks like: no browser may guess another type.
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      [outputLengthHeader]: String(length),
    },
  });
}
