// A place that executes one pipedef, seen from the boss.

import type { ToHome } from "./messages.js";

/** Order: receive, once; then send; end, always, safe to call twice. */
export interface Home {
  send(head: ToHome, body?: Uint8Array): void;
  /** What comes is unchecked. The home may not send much more before the returned promise is done. */
  receive(handler: (head: unknown, body: Uint8Array) => Promise<void> | undefined): void;
  /** Whether it cannot answer because the boss has yet to take what it sent. */
  readonly waitsForBoss: boolean;
  /** Bytes that went to the file descriptors 1 and 2 themselves. */
  onRawOutput: (bytes: Uint8Array) => void;
  /** Resolves with the reason when it ends by itself. */
  readonly died: Promise<string>;
  /** Ends it, whatever it does. */
  end(): Promise<void>;
}
