// Slots: so many commands run at a time, the others wait in strict order of arrival. While it is held,
// nobody is admitted.

export interface Slot {
  /** Safe to call twice. */
  release(): void;
}

export interface AdmissionOptions {
  readonly slots: number;
  /** `running` or `queued` is another number now. */
  readonly changed: () => void;
}

export interface EnterOptions {
  readonly signal: AbortSignal;
  /** Called at once when it has to wait, again as it moves up, and with 0 at the latest when admitted. */
  readonly moved: (ahead: number) => void;
}

interface Waiter {
  admit: ((slot: Slot) => void) | null;
  moved: (ahead: number) => void;
  toldAhead: number;
}

// Telling everyone at every move would make a queue of n cost n * n messages. So far back one wants to
// know the order of magnitude: whoever has half as many ahead as when last told is told again.
const announceEveryMs = 200;
const alwaysToldBelow = 4;
const toldAgainAt = 0.5;

export class Admission {
  readonly #slots: number;
  readonly #changed: () => void;
  /** In order of arrival. Those who left have no `admit` any more. */
  #line: Waiter[] = [];
  #firstInLine = 0;
  #queued = 0;
  #running = 0;
  #held = false;
  #announcement: NodeJS.Timeout | null = null;

  constructor({ slots, changed }: AdmissionOptions) {
    this.#slots = slots;
    this.#changed = changed;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queued;
  }

  /** Rejects with the signal's reason if it is aborted while waiting. */
  enter({ signal, moved }: EnterOptions): Promise<Slot> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#hasRoom() && this.#queued === 0) {
      const slot = this.#take();
      this.#changed();
      return Promise.resolve(slot);
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { admit: null, moved, toldAhead: this.#queued };
      const leave = () => {
        waiter.admit = null;
        this.#queued -= 1;
        this.#announceSoon();
        this.#changed();
        reject(signal.reason);
      };
      waiter.admit = (slot) => {
        signal.removeEventListener("abort", leave);
        resolve(slot);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#line.push(waiter);
      this.#queued += 1;
      moved(waiter.toldAhead);
      this.#changed();
    });
  }

  /** Those who have a slot keep it. */
  hold(): void {
    this.#held = true;
  }

  resume(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#admitNext();
    this.#changed();
  }

  #hasRoom(): boolean {
    return !this.#held && this.#running < this.#slots;
  }

  #take(): Slot {
    this.#running += 1;
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        this.#running -= 1;
        this.#admitNext();
        this.#changed();
      },
    };
  }

  #admitNext() {
    while (this.#hasRoom() && this.#queued > 0) {
      const waiter = this.#line[this.#firstInLine++]!;
      if (waiter.admit) {
        this.#queued -= 1;
        const admit = waiter.admit;
        waiter.admit = null;
        // Now its sandbox is made; whoever waits for it may want to watch that.
        if (waiter.toldAhead > 0) waiter.moved(0);
        admit(this.#take());
      }
    }
    if (this.#queued === 0) {
      this.#line = [];
      this.#firstInLine = 0;
    } else this.#announceSoon();
  }

  #announceSoon() {
    if (this.#queued > 0)
      this.#announcement ??= setTimeout(() => this.#announce(), announceEveryMs);
  }

  #announce() {
    this.#announcement = null;
    this.#line = this.#line.slice(this.#firstInLine).filter((waiter) => waiter.admit !== null);
    this.#firstInLine = 0;
    this.#line.forEach((waiter, ahead) => {
      const worthTelling = ahead < alwaysToldBelow || ahead <= waiter.toldAhead * toldAgainAt;
      if (ahead === waiter.toldAhead || !worthTelling) return;
      waiter.toldAhead = ahead;
      waiter.moved(ahead);
    });
  }
}
