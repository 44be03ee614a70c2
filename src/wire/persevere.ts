// Reading on where a connection to the boss was lost: it may be restarting, or something on the way cuts what is
// silent for long.

import { BossRefused, BossUnreachable } from "./boss-error.js";

export interface Reading<Answer, T> {
  /** Asks for what comes after all that was read so far. */
  open(): Promise<Answer>;
  /** Ends where there is no more to come, and rejects where the connection does. */
  read(answer: Answer): AsyncIterable<T>;
  /** When it is aborted the reading ends, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the boss stays away, once for each time. */
  readonly onAway?: ((message: string) => void) | undefined;
  readonly pausesMs?: readonly number[];
}

/** Between the tries. About a minute: time for a restart with a long history. */
const usualPausesMs = [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000];
/** Whoever held a connection for so long did not refuse it, also where nothing came. */
const heldMs = 20_000;

/** Only who has answered once is waited for: a wrong address is said at once. */
export async function* persevere<Answer, T>({
  open,
  read,
  signal,
  onAway,
  pausesMs = usualPausesMs,
}: Reading<Answer, T>): AsyncGenerator<T> {
  let hasAnswered = false;
  let failures = 0;
  for (;;) {
    let openedAt = Number.POSITIVE_INFINITY;
    try {
      const answer = await open();
      hasAnswered = true;
      openedAt = performance.now();
      for await (const item of read(answer)) {
        failures = 0;
        yield item;
      }
      return;
    } catch (error) {
      if (signal?.aborted) return;
      if (!hasAnswered || !isLoss(error)) throw error;
      if (performance.now() - openedAt >= heldMs) failures = 0;
      const pauseMs = pausesMs[failures];
      if (pauseMs === undefined) throw error;
      failures++;
      // The first try is made at once, as good as: most losses need no words.
      if (failures === 2) onAway?.(`${error.message}; trying again for a while`);
      await pause(pauseMs, signal);
      if (signal?.aborted) return;
    }
  }
}

/** Also what a proxy says while there is nothing behind it. */
function isLoss(error: unknown): error is BossUnreachable | BossRefused {
  if (error instanceof BossRefused) return [502, 503, 504].includes(error.status);
  return error instanceof BossUnreachable;
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
  });
}
