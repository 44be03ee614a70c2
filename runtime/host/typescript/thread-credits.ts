// How much a thread may send ahead of what the boss has dealt with. Messages of a thread have no
// backpressure of their own, so the sender waits on shared memory.

const windowBytes = 1024 * 1024;

export function createCredits(): SharedArrayBuffer {
  return new SharedArrayBuffer(4);
}

export interface Credits {
  /** Blocks the calling thread until there is room. */
  acquire(cost: number): void;
  release(cost: number): void;
  /** Whether the sender must wait for the boss. */
  readonly exhausted: boolean;
}

export function creditsTaken(shared: SharedArrayBuffer): Credits {
  const taken = new Int32Array(shared);
  return {
    acquire(cost) {
      for (let now = Atomics.load(taken, 0); now > windowBytes; now = Atomics.load(taken, 0)) {
        Atomics.wait(taken, 0, now);
      }
      Atomics.add(taken, 0, cost);
    },
    release(cost) {
      Atomics.sub(taken, 0, cost);
      Atomics.notify(taken, 0);
    },
    get exhausted() {
      return Atomics.load(taken, 0) > windowBytes;
    },
  };
}

/** Small messages count too, or a million of them would cost nothing. */
export function messageCost(body: Uint8Array): number {
  return 512 + body.byteLength;
}
