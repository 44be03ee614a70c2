// Traces of runs, for those who gave an address to send them to. A reader of the event log like any other.

import type { LoggedEvent } from "../../model/events.js";
import type { EventLog } from "../event-log.js";
import type { Store } from "../store/store.js";
import { OtlpExporter, type OtlpOptions } from "./otlp.js";
import { Spans } from "./spans.js";

export interface Tracing {
  readonly counts: { readonly sent: number; readonly dropped: number };
  close(): Promise<void>;
}

/** A boss that is told to stop has other things to do than to wait for a receiver. */
const lastWordsMs = 2_000;
const batchSize = 500;

/** Reads from now on. */
export function startTracing(store: Store, log: EventLog, options: OtlpOptions): Tracing {
  const exporter = new OtlpExporter(options);
  const spans = new Spans();
  // What ended before was sent by the process that saw it; what is still open ends here.
  for (const run of store.unfinished()) {
    for (const logged of allEvents(store, run)) spans.take(logged);
  }
  let cursor = store.lastSeq();
  const stopped = new AbortController();
  const reading = (async () => {
    for await (const logged of log.follow({ after: cursor, signal: stopped.signal })) {
      exporter.add(spans.take(logged));
      cursor = logged.seq;
    }
  })();
  return {
    get counts() {
      return exporter.counts;
    },
    async close() {
      stopped.abort();
      await reading;
      for (const logged of allEvents(store, undefined, cursor)) exporter.add(spans.take(logged));
      await exporter.close(lastWordsMs);
    },
  };
}

function* allEvents(store: Store, run: number | undefined, after = 0): Generator<LoggedEvent> {
  for (let cursor = after; ; ) {
    const batch = store.events({
      ...(run !== undefined && { run }),
      after: cursor,
      limit: batchSize,
    });
    if (batch.length === 0) return;
    yield* batch;
    cursor = batch.at(-1)!.seq;
  }
}
