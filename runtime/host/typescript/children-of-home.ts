// The processes a pipedef has started, as its home reports them. They must end before their home does:
// after that nobody reaps them, and each would stay as a zombie of the boss.

import { setTimeout as delay } from "node:timers/promises";

/** A home in an endless loop does not answer. */
const graceMs = 500;

export class ChildrenOfHome {
  readonly alive = new Set<number>();
  #ask: () => void;
  #ended: () => void = () => {};

  constructor(ask: () => void) {
    this.#ask = ask;
  }

  /** Whether the message was for here. */
  notice(head: unknown): boolean {
    if (typeof head !== "object" || head === null || !("type" in head)) return false;
    if (head.type === "ended-children") {
      this.#ended();
      return true;
    }
    if (head.type !== "child" || !("pid" in head && "alive" in head)) return false;
    if (typeof head.pid === "number" && head.alive === true) this.alive.add(head.pid);
    else if (typeof head.pid === "number") this.alive.delete(head.pid);
    return true;
  }

  /** Has the home end and reap them; gives up where it does not answer. */
  async end(): Promise<void> {
    if (this.alive.size === 0) return;
    const ended = new Promise<void>((resolve) => {
      this.#ended = resolve;
    });
    this.#ask();
    const giveUp = new AbortController();
    await Promise.race([
      ended,
      delay(graceMs, undefined, { signal: giveUp.signal }).catch(() => {}),
    ]);
    giveUp.abort();
  }
}
