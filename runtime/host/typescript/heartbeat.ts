// Notices when a home's event loop answers no more.

const betweenPingsMs = 500;

export interface HeartbeatOptions {
  readonly timeoutMs: number;
  readonly ping: () => void;
  /** A home that waits for the boss is not to blame for its silence. */
  readonly excused: () => boolean;
  readonly stalled: () => void;
}

/** Order: start and stop, any number of times; pong for each answer. */
export class Heartbeat {
  #options: HeartbeatOptions;
  #timer: NodeJS.Timeout | undefined;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    // Short tasks come one after the other, and each would ask anew.
    const leftMs = this.#heardAt + betweenPingsMs - performance.now();
    if (leftMs > 0) this.#timer = setTimeout(() => this.#ping(), leftMs);
    else this.#ping();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  pong(): void {
    this.#heardAt = performance.now();
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ping(), betweenPingsMs);
  }

  #ping(): void {
    this.#options.ping();
    this.#timer = setTimeout(() => this.#silent(), this.#options.timeoutMs);
  }

  #silent(): void {
    if (this.#options.excused()) {
      this.#timer = setTimeout(() => this.#silent(), this.#options.timeoutMs);
      return;
    }
    // The boss itself may have been held up; then the answer is there already, waiting to be read.
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#options.stalled();
    }, 50);
  }
}
