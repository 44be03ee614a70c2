// Sandboxes made before they are asked for, by kind: what a command of that kind needs but itself.
//
//   wanted ──made──► ready ──taken──► used, once
//                      │
//                      └── idle for too long, of an outdated image, dead: discarded
//
// Who finds none ready waits for the first of its kind that is made, whoever that one was begun for. So many are made
// at a time; those that somebody waits for come first, in the order in which they were asked for.

export interface Pooled {
  /** Resolves when it is of no more use. */
  readonly died: Promise<unknown>;
  discard(): Promise<void>;
}

export interface KindOf<Shape> {
  /** The same for all that can stand in for each other. */
  readonly key: string;
  /** Of the image; another one empties the pool of this key. */
  readonly version: string;
  readonly shape: Shape;
}

export interface PoolOptions<Shape, Item extends Pooled> {
  readonly make: (kind: KindOf<Shape>) => Promise<Item>;
  /** Ready ones, of all kinds together; 0: none is made ahead. */
  readonly max: number;
  /** What is being made at a time, for those who wait and ahead. */
  readonly makings: number;
  /** After so long without a command of its kind nothing is kept ready; 0: only what is expected is made ahead. */
  readonly idleMs: number;
  /** The number of ready ones has changed. */
  readonly changed?: (ready: number) => void;
}

interface Waiter<Item> {
  readonly take: (item: Item) => void;
  readonly fail: (error: unknown) => void;
}

interface Kind<Shape, Item> extends KindOf<Shape> {
  readonly ready: Item[];
  readonly waiting: Waiter<Item>[];
  making: number;
  /** Announced and not yet taken; null: whoever asks for it announces nothing. */
  expected: number | null;
  /** Taken since it was last idle. */
  recent: number;
  idle: NodeJS.Timeout | undefined;
  retired: boolean;
}

/** First the command that has just begun, then the next sandbox. */
const afterTakingMs = 25;
/** Beside commands that are busy, one is made at a time, and then nothing for so many times as long as that took. */
const restFactor = 4;

export class Pool<Shape, Item extends Pooled> {
  readonly #options: PoolOptions<Shape, Item>;
  readonly #kinds = new Map<string, Kind<Shape, Item>>();
  /** Also of those whose kind has been retired. */
  readonly #makings = new Set<Promise<void>>();
  readonly #leaving = new Set<Promise<void>>();
  /** One for each that is waited for and not begun, in order. */
  readonly #unmade: Kind<Shape, Item>[] = [];
  #timer: NodeJS.Timeout | undefined;
  #refillAt = Number.POSITIVE_INFINITY;
  #inUse = 0;
  #makeMs = new Average();
  #useMs = new Average();
  #ready = 0;
  #closed = false;

  constructor(options: PoolOptions<Shape, Item>) {
    this.#options = options;
  }

  get ready(): number {
    return this.#ready;
  }

  /** Rejects where none can be made, and soon after the signal is aborted. */
  take(of: KindOf<Shape>, signal: AbortSignal): Promise<Item> {
    const kind = this.#kind(of);
    if (kind.expected !== null) kind.expected = Math.max(0, kind.expected - 1);
    if (this.#options.idleMs > 0) kind.recent += 1;
    this.#restartIdle(kind);
    this.#refillIn(afterTakingMs);
    const item = kind.ready.shift();
    if (item) {
      this.#count(-1);
      return Promise.resolve(item);
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        kind.waiting.splice(kind.waiting.indexOf(waiter), 1);
        reject(signal.reason);
      };
      const waiter: Waiter<Item> = {
        take: (made) => {
          signal.removeEventListener("abort", leave);
          resolve(made);
        },
        fail: (error) => {
          signal.removeEventListener("abort", leave);
          reject(error);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      kind.waiting.push(waiter);
      this.#unmade.push(kind);
      this.#makeUnmade();
    });
  }

  #makeUnmade() {
    while (this.#makings.size < this.#options.makings) {
      const kind = this.#unmade.shift();
      if (!kind) return;
      // It may have been made by now, for another one or ahead, or nobody waits any more.
      if (kind.making < kind.waiting.length) this.#make(kind);
    }
  }

  /** So many more are about to be asked for; the latest word counts. */
  expect(of: KindOf<Shape>, count: number): void {
    if (this.#closed || this.#options.max === 0) return;
    const kind = this.#kind(of);
    kind.expected = count;
    this.#restartIdle(kind);
    this.#refillIn(0);
  }

  /** A command has begun; to be called again, with how long it took, when it has ended. */
  began(): (tookMs: number) => void {
    this.#inUse += 1;
    return (tookMs) => {
      this.#inUse -= 1;
      this.#useMs.add(tookMs);
      if (this.#inUse === 0) this.#refillIn(afterTakingMs);
    };
  }

  /** Forgets all that is ready: it is gone, or about to be. What comes now is made anew. */
  empty(): Promise<void> {
    for (const kind of this.#kinds.values()) this.#retire(kind);
    return this.#settled();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.empty();
  }

  async #settled() {
    while (this.#makings.size + this.#leaving.size > 0) {
      await Promise.all([...this.#makings, ...this.#leaving]);
    }
  }

  #kind(of: KindOf<Shape>): Kind<Shape, Item> {
    const known = this.#kinds.get(of.key);
    if (known?.version === of.version) return known;
    const kind: Kind<Shape, Item> = {
      ...of,
      ready: [],
      waiting: [],
      making: 0,
      expected: known?.expected ?? null,
      recent: known?.recent ?? 0,
      idle: undefined,
      retired: false,
    };
    if (known) this.#retire(known);
    this.#kinds.set(of.key, kind);
    return kind;
  }

  #retire(kind: Kind<Shape, Item>) {
    kind.retired = true;
    clearTimeout(kind.idle);
    if (this.#kinds.get(kind.key) === kind) this.#kinds.delete(kind.key);
    while (kind.ready.length > 0) this.#discardOldest(kind);
  }

  #restartIdle(kind: Kind<Shape, Item>) {
    clearTimeout(kind.idle);
    const { idleMs } = this.#options;
    // What is only expected goes too, where nobody comes for it.
    kind.idle = setTimeout(() => this.#retire(kind), idleMs || expectedMs);
    kind.idle.unref();
  }

  #make(kind: Kind<Shape, Item>) {
    kind.making += 1;
    const making = this.#made(kind).finally(() => {
      this.#makings.delete(making);
      this.#makeUnmade();
    });
    this.#makings.add(making);
  }

  async #made(kind: Kind<Shape, Item>): Promise<void> {
    const startedAt = performance.now();
    let item: Item;
    try {
      item = await this.#options.make(kind);
    } catch (error) {
      kind.making -= 1;
      if (kind.waiting.length > kind.making) kind.waiting.shift()!.fail(error);
      // Nobody wants to hear of it now; whoever asks for one will.
      kind.expected &&= 0;
      kind.recent = 0;
      return;
    }
    kind.making -= 1;
    const tookMs = performance.now() - startedAt;
    this.#makeMs.add(tookMs);
    this.#give(kind, item);
    this.#refillIn(this.#inUse === 0 || this.#areShort() ? 0 : tookMs * restFactor);
  }

  #give(kind: Kind<Shape, Item>, item: Item) {
    const waiter = kind.waiting.shift();
    if (waiter) return waiter.take(item);
    kind.ready.push(item);
    this.#count(1);
    if (kind.retired || this.#closed || this.#ready > this.#options.max) {
      return this.#discardOldest(kind);
    }
    void item.died.then(() => {
      const place = kind.ready.indexOf(item);
      if (place < 0) return;
      kind.ready.splice(place, 1);
      this.#count(-1);
      this.#discard(item);
      this.#refillIn(afterTakingMs);
    });
  }

  #discardOldest(kind: Kind<Shape, Item>) {
    const item = kind.ready.shift();
    if (!item) return;
    this.#count(-1);
    this.#discard(item);
  }

  #discard(item: Item) {
    const leaving = item.discard().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  #count(change: number) {
    this.#ready += change;
    this.#options.changed?.(this.#ready);
  }

  /** At the latest; an earlier time that was set stays, but for a rest. */
  #refillIn(ms: number) {
    if (this.#closed || this.#options.max === 0) return;
    const at = performance.now() + ms;
    const isRest = ms > afterTakingMs;
    if (!isRest && at >= this.#refillAt) return;
    clearTimeout(this.#timer);
    this.#refillAt = at;
    this.#timer = setTimeout(() => {
      this.#refillAt = Number.POSITIVE_INFINITY;
      this.#refill();
    }, ms);
    this.#timer.unref();
  }

  #refill() {
    while (this.#makings.size < this.#options.makings) {
      const kind = this.#neediest();
      if (!kind || !this.#mayMake(kind) || !this.#hasRoomFor(kind)) return;
      this.#make(kind);
    }
  }

  /** What runs comes first. */
  #mayMake(kind: Kind<Shape, Item>): boolean {
    if (this.#inUse === 0) return true;
    if (!this.#areShort()) return this.#makings.size === 0;
    // Where commands are shorter than the making of a sandbox, that is what they wait for, as soon as none is ready. While
    // there are enough, another one would only hold up those that have theirs; soon nothing runs.
    const enough = kind.expected ?? kind.recent / 2;
    return supply(kind) < Math.min(this.#options.max, enough);
  }

  #areShort(): boolean {
    return this.#useMs.value < this.#makeMs.value;
  }

  #neediest(): Kind<Shape, Item> | null {
    let neediest: Kind<Shape, Item> | null = null;
    for (const kind of this.#kinds.values()) {
      const wanted = Math.min(this.#options.max, Math.max(kind.expected ?? 0, kind.recent));
      if (supply(kind) >= wanted) continue;
      if (!neediest || supply(kind) < supply(neediest)) neediest = kind;
    }
    return neediest;
  }

  /** Where all places are taken, the kind with most gives one to the kind with fewest. */
  #hasRoomFor(kind: Kind<Shape, Item>): boolean {
    let all = 0;
    let richest = kind;
    for (const other of this.#kinds.values()) {
      all += Math.max(0, supply(other));
      if (other.ready.length > richest.ready.length) richest = other;
    }
    if (all < this.#options.max) return true;
    if (richest.ready.length <= supply(kind) + 1) return false;
    this.#discardOldest(richest);
    return true;
  }
}

/** A run that was announced may still be loading, and its first tasks may take long. */
const expectedMs = 60_000;

interface Supply {
  readonly ready: readonly unknown[];
  readonly waiting: readonly unknown[];
  readonly making: number;
}

function supply({ ready, making, waiting }: Supply): number {
  return ready.length + making - waiting.length;
}

/** Of late. */
class Average {
  #value = Number.NaN;

  /** NaN while nothing is known, which compares to nothing. */
  get value(): number {
    return this.#value;
  }

  add(sample: number) {
    this.#value = Number.isNaN(this.#value) ? sample : this.#value * 0.7 + sample * 0.3;
  }
}
