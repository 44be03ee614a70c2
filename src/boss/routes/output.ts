// Outputs by line: what the page shows of a long one without ever having all of it.

import { type Context, Hono } from "hono";
import { BadRequest } from "../../wire/body.js";
import type { ApiError, OutputDiff, OutputMatches, OutputOutline } from "../../wire/boss.js";
import { bytesResponse } from "../../wire/stream.js";
import type { StreamCount } from "../../wire/stream-count.js";
import type { Engine } from "../engine.js";
import type { Fold } from "../output/line-index.js";
import { type FollowedIndex, LineIndexes } from "../output/line-indexes.js";
import { maxLinesAtOnce, readLines } from "../output/line-reader.js";
import {
  maxPatternChars,
  OutputSearch,
  requirePattern,
  SearchBusy,
  SearchTooLong,
} from "../output/output-search.js";
import type { SearchOrder } from "../output/output-search-thread.js";
import type { OutputRef } from "../output/outputs.js";
import { NotFound, numberParameter } from "../request.js";
import { theAttempt, theRun } from "./runs.js";

/** A flood of output is told of so often at most; no eye sees more. */
const outlineMs = 50;
/** While what was there already is indexed: its end is what readers wait for. */
const catchUpMs = 300;

interface Found {
  readonly found: FollowedIndex;
  readonly length: number;
  /** So many bytes have to be indexed before there can be no more. */
  readonly enough: number;
}

export function outputRoutes(engine: Engine): Hono {
  const app = new Hono();
  const indexes = new LineIndexes(engine.outputs);
  const searches = new OutputSearch();

  async function theIndex(c: Context): Promise<Found> {
    const ref = theAttempt(theRun(engine, c), c);
    const length = await engine.outputs.length(ref);
    if (length === null) throw new NotFound("the output of this task is not there any more");
    // Of one that has ended all there is, so that it is known to have ended, too.
    const enough = engine.outputs.isLive(ref) ? length : Number.POSITIVE_INFINITY;
    return { found: indexes.open(ref, length), length, enough };
  }

  app.get("/:id/tasks/:stage/:task/output/outline", async (c) => {
    const { found, length, enough } = await theIndex(c);
    const follow = isSet(c, "follow");
    return jsonLines(engine.outputStreams, (signal) =>
      outlines(found, { length, until: follow ? null : enough, signal }),
    );
  });

  app.get("/:id/tasks/:stage/:task/output/lines", async (c) => {
    const first = (numberParameter(c, "from", { min: 1 }) ?? 1) - 1;
    const count = numberParameter(c, "count", { min: 1, max: maxLinesAtOnce }) ?? 256;
    const { found, enough } = await theIndex(c);
    await found.reach({ line: first + count - 1, bytes: enough, signal: c.req.raw.signal });
    return c.json(await readLines(found.path, found.index, { first, count }), 200, {
      "cache-control": "no-store",
    });
  });

  app.get("/:id/tasks/:stage/:task/output/search", async (c) => {
    const what = wanted(c);
    const first = (numberParameter(c, "from", { min: 1 }) ?? 1) - 1;
    const { found, length } = await theIndex(c);
    await found.reach({ line: first, bytes: length, signal: c.req.raw.signal });
    const { line, offset } = found.index.before(first);
    const order: SearchOrder = { path: found.path, line, offset, bytes: length, what };
    return jsonLines(engine.outputStreams, (signal) => matches(searches, { order, first, signal }));
  });

  app.get("/:id/tasks/:stage/:task/output/diff", async (c) => {
    const run = theRun(engine, c);
    const ref = theAttempt(run, c);
    const against = numberParameter(c, "against", { min: 1, max: ref.attempt.attempt }) ?? 1;
    const other = { ...ref, attempt: { ...ref.attempt, attempt: against } };
    const [left, right] = await Promise.all([other, ref].map(sideOf));
    const order = { left: left!, right: right!, ignoreTimes: isSet(c, "ignore-times") };
    const result = await searches.diff(order, c.req.raw.signal).catch((error) => {
      if (error instanceof SearchBusy || error instanceof SearchTooLong) return error;
      throw error;
    });
    if (result instanceof Error) return c.json({ error: result.message } satisfies ApiError, 503);
    const hunks = (result?.hunks ?? []).map(
      ([a, aCount, b, bCount]) => [a + 1, aCount, b + 1, bCount] as const,
    );
    const view: OutputDiff = {
      against,
      attempt: ref.attempt.attempt,
      hunks,
      cut: result?.cut ?? true,
    };
    return c.json(view, 200, { "cache-control": "no-store" });
  });

  async function sideOf(ref: OutputRef) {
    const bytes = await engine.outputs.length(ref);
    if (bytes === null) throw new NotFound("the output of this attempt is not there any more");
    return { path: engine.outputs.path(ref), bytes };
  }

  return app;
}

/** Null as `until`: to the end of the attempt. */
async function* outlines(
  found: FollowedIndex,
  {
    length,
    until,
    signal,
  }: { readonly length: number; readonly until: number | null; readonly signal: AbortSignal },
): AsyncGenerator<OutputOutline> {
  const { index } = found;
  let stamp = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  const isOver = () => found.isOver || (until !== null && index.bytes >= until);
  for (;;) {
    const caughtUpAt = performance.now() + catchUpMs;
    while (index.bytes < length && !isOver() && performance.now() < caughtUpAt && !signal.aborted) {
      await found.changed(signal);
    }
    const waitMs = toldAt + outlineMs - performance.now();
    if (waitMs > 0 && !isOver()) await pause(waitMs, signal);
    if (signal.aborted) return;
    const isLast = isOver();
    const folds = index.foldsSince(stamp).map(numbered);
    stamp = index.stamp;
    toldAt = performance.now();
    const { lines, bytes, ended } = index;
    yield { lines, bytes, ended, folds };
    if (found.error) throw found.error;
    if (isLast) return;
    if (index.bytes === bytes && !index.ended) await found.changed(signal);
  }
}

function numbered({ kind, first, last }: Fold) {
  return { kind, first: first + 1, last: last === null ? null : last + 1 };
}

function wanted(c: Context): SearchOrder["what"] {
  if (isSet(c, "errors")) return { kind: "errors" };
  const q = c.req.query("q") ?? "";
  if (q === "" || q.length > maxPatternChars) {
    throw new BadRequest(`q must hold 1 to ${maxPatternChars} characters`, { field: "q" });
  }
  const matchCase = isSet(c, "case");
  if (!isSet(c, "regex")) return { kind: "text", text: q, matchCase };
  requirePattern(q);
  return { kind: "regex", source: q, matchCase };
}

async function* matches(
  searches: OutputSearch,
  {
    order,
    first,
    signal,
  }: { readonly order: SearchOrder; readonly first: number; readonly signal: AbortSignal },
): AsyncGenerator<OutputMatches> {
  let before = 0;
  let count = 0;
  let bytes = 0;
  try {
    for await (const part of searches.search(order, signal)) {
      // The search began at a place of the index, which may be some lines too early.
      const early = part.lines.filter((line) => line < first).length;
      before += early;
      count = part.count - before;
      bytes = order.offset + part.read;
      const lines = part.lines.slice(early).map((line) => line + 1);
      const weights = part.weights?.slice(early);
      yield { lines, ...(weights && { weights }), count, bytes, done: part.done };
    }
  } catch (error) {
    if (!(error instanceof SearchBusy || error instanceof SearchTooLong)) throw error;
    yield { lines: [], count, bytes, done: false, error: error.message };
  }
}

function isSet(c: Context, name: string): boolean {
  return ["1", "true"].includes(c.req.query(name) ?? "");
}

function jsonLines(
  streams: StreamCount,
  produce: (signal: AbortSignal) => AsyncIterable<unknown>,
): Response {
  return bytesResponse(
    streams.counted(async function* (signal) {
      for await (const value of produce(signal)) yield Buffer.from(`${JSON.stringify(value)}\n`);
    }),
    {
      headers: {
        "content-type": "application/x-ndjson",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store, no-transform",
        "x-accel-buffering": "no",
      },
    },
  );
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
