// The one stream of events. Each connection is an EventSource of its own: the browser's own retry would go on
// behind a number that a restarted boss may never reach.

import type { LoggedEvent } from "../src/model/events.js";
import type { HelloView } from "../src/wire/boss.js";
import type { Message } from "./update.js";

const firstRetryMs = 500;
const lastRetryMs = 5000;
/** After a longer absence a fresh look costs less than all that has happened. */
const maxReplayed = 5000;
/** So many times as long as the boss is silent at most, and it is taken for gone. */
const missedKeepAlives = 3;
/** An older boss may be silent as long as it likes. */
const anyMs = 24 * 3_600_000;
/** How long it may take to its first word. */
const helloMs = 20_000;
/** A page that was asleep finds its timer due before what came meanwhile: that is listened to first. */
const listenMs = 1000;
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
    const after = isResuming ? `&after=${lastSeq}` : "";
    const source = new EventSource(`/api/events?together=1${after}`);
    let silenceMs = helloMs;
    let heardAt = Date.now();
    let silence: ReturnType<typeof setTimeout>;
    const heard = () => {
      heardAt = Date.now();
      clearTimeout(silence);
      silence = setTimeout(() => {
        silence = setTimeout(() => lose(heardAt), listenMs);
      }, silenceMs);
    };
    const close = () => {
      clearTimeout(silence);
      removeEventListener("offline", loseNow);
      source.close();
    };
    const gathered: LoggedEvent[] = [];
    const flush = () => {
      if (gathered.length > 0) dispatch({ type: "run-events", events: gathered.splice(0) });
    };

    const lose = (at: number) => {
      close();
      flush();
      dispatch({ type: "disconnected", at });
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
    const loseNow = () => lose(Date.now());
    source.onerror = loseNow;
    addEventListener("offline", loseNow);
    heard();

    const listen = (name: string, take: (data: string) => void) =>
      source.addEventListener(name, ({ data }) => {
        heard();
        take(data);
      });
    listen("alive", () => {});
    listen("hello", (data) => {
      const hello: HelloView = JSON.parse(data);
      const isSame = hello.instance === instance;
      const missed = hello.seq - lastSeq;
      if (isResuming && (!isSame || missed < 0 || missed > maxReplayed)) {
        close();
        open(false);
        return;
      }
      failures = 0;
      silenceMs = missedKeepAlives * (hello.keepAliveMs ?? anyMs);
      heard();
      dispatch({ type: "connected", hello, resumed: isResuming, at: Date.now() });
    });
    const on = (name: string, toMessage: (data: never) => Message) =>
      listen(name, (data) => dispatch(toMessage(JSON.parse(data) as never)));
    on("pipelines", (pipelines) => ({ type: "pipelines-told", pipelines }));
    on("workers", (workers) => ({ type: "workers-told", workers }));
    on("queue", (queue) => ({ type: "queue-told", queue }));
    on("health", (health) => ({ type: "health-told", health }));
    listen("run-events", (data) => {
      if (gathered.length === 0) {
        if (document.hidden) setTimeout(flush, hiddenMs);
        else beforeDrawing(flush);
      }
      gathered.push(...(JSON.parse(data) as LoggedEvent[]));
    });
  };
  open(false);
}
