// What is typed here, or comes by a pipe, on its way to a terminal elsewhere: in order, one request at a time, and no
// more of it held here than a little.

import { setTimeout as wait } from "node:timers/promises";
import { BossRefused } from "../wire/boss-client.js";
import type { RemoteTerminal } from "../wire/kept-boss-client.js";

const mostBytesAtOnce = 32 * 1024;
const mostHeldBytes = 256 * 1024;
const retryMs = 250;

export interface InputPump {
  stop(): void;
}

/** `failed` hears once why nothing can be typed any more. */
export function pumpInput(
  terminal: RemoteTerminal,
  signal: AbortSignal,
  failed: (why: string) => void,
): InputPump {
  const { stdin } = process;
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;
  let ended = false;
  let sending = false;

  async function send() {
    if (sending) return;
    sending = true;
    try {
      while (!signal.aborted && (held.length > 0 || ended)) {
        const bytes = held.subarray(0, mostBytesAtOnce);
        const isLast = ended && bytes.length === held.length;
        if (!(await type({ bytes, offset, isLast }))) continue;
        held = held.subarray(bytes.length);
        offset += bytes.length;
        if (held.length < mostHeldBytes) stdin.resume();
        if (isLast) return;
      }
    } catch (error) {
      // Where the shell has just ended, its output says so.
      const isGone = error instanceof BossRefused && error.status === 404;
      if (!signal.aborted && !isGone)
        failed(error instanceof Error ? error.message : String(error));
    } finally {
      sending = false;
    }
  }

  /** False: the program reads nothing for now. */
  async function type(input: Parameters<RemoteTerminal["type"]>[0]): Promise<boolean> {
    try {
      await terminal.type(input);
      return true;
    } catch (error) {
      if (!(error instanceof BossRefused) || error.status !== 503) throw error;
      await wait(retryMs, undefined, { signal }).catch(() => {});
      return false;
    }
  }

  const onData = (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    if (held.length >= mostHeldBytes) stdin.pause();
    void send();
  };
  const onEnd = () => {
    ended = true;
    void send();
  };
  stdin.on("data", onData);
  stdin.on("end", onEnd);
  stdin.on("error", onEnd);
  return {
    stop() {
      stdin.off("data", onData);
      stdin.off("end", onEnd);
      stdin.pause();
    },
  };
}
