import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import { encodeSse, type SseMessage } from "../../lib/sse.js";
import type { FeedMessage, HelloView, QueueView } from "../../wire/boss.js";
import { usualKeepAliveMs as keepAliveMs } from "../../wire/stream.js";
import type { Engine } from "../engine.js";
import { healthOf } from "../health.js";
import { mergeInto } from "../merge.js";
import { batchMessage, eventMessage, streamSse } from "../stream.js";
import { resumeAfter } from "./runs.js";

const alive: FeedMessage["alive"] = null;
/** No comment, which is all that other streams need: a page cannot see those. */
const keepAlive = encodeSse({ event: "alive", data: JSON.stringify(alive) });

/** Pipelines, workers, and the one stream that carries everything. */
export function feedRoutes(engine: Engine, version: string): Hono {
  const app = new Hono();
  const instance = randomUUID();

  app.get("/pipelines", (c) => c.json(engine.pipelines.views()));
  app.get("/workers", (c) => c.json(engine.workers.views()));

  app.get("/events", (c) => {
    // A reader that does not say where to go on is interested in what happens from now on.
    const after = resumeAfter(c) ?? engine.store.storedSeq();
    const together = c.req.query("together") !== undefined;
    const produce = (signal: AbortSignal) =>
      mergeInto<SseMessage | readonly SseMessage[]>(signal, async (emit, scope) => {
        const seq = engine.store.storedSeq();
        const hello: HelloView = { instance, version, seq, now: Date.now(), keepAliveMs };
        await emit({ event: "hello", data: JSON.stringify(hello) });
        const views = async () => {
          // Workers change with every command; a pipeline of ten thousand tasks must not be sent with them.
          const sent: Record<"pipelines" | "workers", readonly unknown[] | null> = {
            pipelines: null,
            workers: null,
          };
          let health = "";
          let queue: QueueView | null = null;
          for await (const _ of engine.changes.changes(scope)) {
            const healthNow = JSON.stringify(healthOf(engine));
            if (health !== healthNow) await emit({ event: "health", data: healthNow });
            health = healthNow;
            if (queue !== engine.queue()) {
              queue = engine.queue();
              await emit({ event: "queue", data: JSON.stringify(queue) });
            }
            for (const event of ["pipelines", "workers"] as const) {
              const views = engine[event].views();
              if (sent[event] && sameItems(sent[event], views)) continue;
              sent[event] = views;
              await emit({ event, data: JSON.stringify(views) });
            }
          }
        };
        const events = async () => {
          for await (const batch of engine.log.followBatches({ after, signal: scope })) {
            await emit(together ? batchMessage(batch) : batch.map(eventMessage));
          }
        };
        await Promise.all([views(), events()]);
      });
    return streamSse(engine.streams, produce, { keepAlive, keepAliveMs });
  });

  return app;
}

/** A view that has changed is another object. */
function sameItems(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
