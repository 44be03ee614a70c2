// Asks for what the page wants until it is there, or is wanted no more. What failed is asked for again after ever
// longer pauses, and at once when the connection is back: while it is lost nothing is wanted.

import { isGone, reasonOf } from "./refusal.js";
import type { Message } from "./update.js";

const firstPauseMs = 1000;
const lastPauseMs = 60_000;

export interface Want {
  readonly key: string;
  /** With another one it is asked for anew, and an answer to the old one is of no use. */
  readonly version: string;
  ask(): Promise<Message>;
  /** `isFinal`: another try would end alike. It must not be wanted any more then. */
  failed(reason: string, isFinal: boolean): Message;
}

/** The returned function is told after every change what is wanted now. */
export function createPursuit(
  dispatch: (message: Message) => void,
): (wants: readonly Want[]) => void {
  let wanted = new Map<string, Want>();

  async function pursue(want: Want) {
    const isWanted = () => wanted.get(want.key) === want;
    for (let pauseMs = firstPauseMs; isWanted(); pauseMs = Math.min(lastPauseMs, 2 * pauseMs)) {
      const message = await want
        .ask()
        .catch((error: unknown) => want.failed(reasonOf(error), isGone(error)));
      if (!isWanted()) return;
      dispatch(message);
      if (isWanted()) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  return (wants) => {
    const before = wanted;
    wanted = new Map(
      wants.map((want) => {
        const known = before.get(want.key);
        return [want.key, known?.version === want.version ? known : want];
      }),
    );
    for (const [key, want] of wanted) if (before.get(key) !== want) void pursue(want);
  };
}
