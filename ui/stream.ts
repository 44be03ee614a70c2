// The one stream of events. Each connection is an EventSource of its own: the browser's own retry would go on
// behind a number that a restarted boss may never reach.

import type { LoggedEvent, RunEvent } from "../src/model/events.js";
import type { HelloView } from "../src/wire/boss.js";
import type { Message } from "./update.js";

/** A record, so that a new kind of event cannot be forgotten here. */
const runEventTypes: Record<RunEvent["type"], true> = {
  "run-created": true,
  "run-loaded": true,
  "run-source": true,
  "stage-started": true,
  "task-queued": true,
  "task-skipped": true,
  "attempt-started": true,
  "call-sent": true,
  "call-started": true,
  "call-files": true,
  "call-finished": true,
  "attempt-finished": true,
  "stage-finished": true,
  "run-resumed": true,
  "cancel-requested": true,
  "pin-changed": true,
  "run-finished": true,
};

const firstRetryMs = 500;
const lastRetryMs = 5000;
/** After a longer absence a fresh look costs less than all that has happened. */
const maxReplayed = 5000;
/** How often a page is told of events that nobody looks at. */
const hiddenMs = 250;

interface StreamOptions {
  readonly dispatch: (message: Message) => void;
  /** Where to go on, as far as the page knows. */
  readonly known: () => { readonly instance: string | null; readonly lastSeq: number };
  /** The boss refused, or is away: whoever knows why may do something about it. */
  readonly onRefused: () => void;
  /** Calls it before the page is drawn next. */
  readonly beforeDrawing: (work: () => void) => void;
}

export function connect(options: StreamOptions): void {
  const { dispatch, known, onRefused, beforeDrawing } = options;
  let failures = 0;

  const open = (resume: boolean) => {
    const { instance, lastSeq } = known();
    const isResuming = resume && instance !== null;
    const source = new EventSource(isResuming ? `/api/events?after=${lastSeq}` : "/api/events");
    const gathered: LoggedEvent[] = [];
    const flush = () => {
      if (gathered.length > 0) dispatch({ type: "run-events", events: gathered.splice(0) });
    };

    source.addEventListener("hello", ({ data }) => {
      const hello: HelloView = JSON.parse(data);
      const isSame = hello.instance === instance;
      const missed = hello.seq - lastSeq;
      if (isResuming && (!isSame || missed < 0 || missed > maxReplayed)) {
        source.close();
        open(false);
        return;
      }
      failures = 0;
      dispatch({ type: "connected", hello, resumed: isResuming, at: Date.now() });
    });
    source.onerror = () => {
      source.close();
      flush();
      dispatch({ type: "disconnected", at: Date.now() });
      onRefused();
      const pauseMs = Math.min(lastRetryMs, firstRetryMs * 2 ** failures);
      failures += 1;
      const timer = setTimeout(retry, pauseMs);
      addEventListener("online", retry, { once: true });
      function retry() {
        clearTimeout(timer);
        removeEventListener("online", retry);
        open(true);
      }
    };

    const on = (name: string, toMessage: (data: never) => Message) =>
      source.addEventListener(name, (event) =>
        dispatch(toMessage(JSON.parse(event.data) as never)),
      );
    on("pipelines", (pipelines) => ({ type: "pipelines-told", pipelines }));
    on("workers", (workers) => ({ type: "workers-told", workers }));
    on("queue", (queue) => ({ type: "queue-told", queue }));
    on("health", (health) => ({ type: "health-told", health }));
    for (const type of Object.keys(runEventTypes)) {
      source.addEventListener(type, ({ data }) => {
        if (gathered.length === 0) {
          if (document.hidden) setTimeout(flush, hiddenMs);
          else beforeDrawing(flush);
        }
        gathered.push(JSON.parse(data));
      });
    }
  };
  open(false);
}
