// The home's end of the line to the boss. Sending waits, with the whole home, while the boss has not taken
// what was sent before: a flood of output slows the pipedef, and fills nobody's memory.

import type { ToBoss, ToHome, ToKeeper } from "../messages.js";

export interface Link {
  send(head: ToBoss | ToKeeper, body?: Uint8Array): void;
  /** Called once. */
  receive(handler: (head: ToHome, body: Uint8Array) => void): void;
}

export const noBytes = new Uint8Array(0);
