import type { MessagePort } from "node:worker_threads";
import type { ToBoss, ToHome, ToKeeper } from "../messages.js";
import { ownBytes } from "../own-bytes.js";
import { creditsTaken, messageCost } from "../thread-credits.js";
import { type Link, noBytes } from "./link.js";

export interface ThreadData {
  readonly port: MessagePort;
  readonly credits: SharedArrayBuffer;
}

export function createThreadLink({ port, credits }: ThreadData): Link {
  const taken = creditsTaken(credits);
  return {
    send(head: ToBoss | ToKeeper, body = noBytes) {
      const cost = messageCost(body);
      taken.acquire(cost);
      port.postMessage({ cost, head, body: body.byteLength === 0 ? null : ownBytes(body) });
    },
    receive(handler) {
      port.on("message", ({ head, body }: { head: ToHome; body: Uint8Array | null }) =>
        handler(head, body ?? noBytes),
      );
    },
  };
}
