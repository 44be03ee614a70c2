// Who has most room, kept in order while loads change: asking costs the same for three workers and for thousands.

/** Where two are alike, the one of lower order. */
export class Room<T extends { readonly order: number }> {
  readonly #heap: Entry<T>[] = [];
  readonly #entries = new Map<T, Entry<T>>();

  /** `load`: 1 is full. Adds it, or moves it. */
  set(item: T, load: number): void {
    let entry = this.#entries.get(item);
    if (!entry) {
      entry = { item, load, place: this.#heap.length };
      this.#entries.set(item, entry);
      this.#heap.push(entry);
    }
    entry.load = load;
    this.#rise(entry);
    this.#sink(entry);
  }

  delete(item: T): void {
    const entry = this.#entries.get(item);
    if (!entry) return;
    this.#entries.delete(item);
    const last = this.#heap.pop()!;
    if (last === entry) return;
    this.#put(last, entry.place);
    this.#rise(last);
    this.#sink(last);
  }

  most(): T | undefined {
    return this.#heap[0]?.item;
  }

  #rise(entry: Entry<T>): void {
    while (entry.place > 0) {
      const parent = this.#heap[(entry.place - 1) >> 1]!;
      if (!isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry<T>): void {
    for (;;) {
      const left = this.#heap[2 * entry.place + 1];
      const right = this.#heap[2 * entry.place + 2];
      const child = left && right && isBefore(right, left) ? right : left;
      if (!child || !isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  #swap(a: Entry<T>, b: Entry<T>): void {
    const { place } = a;
    this.#put(a, b.place);
    this.#put(b, place);
  }

  #put(entry: Entry<T>, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}

interface Entry<T> {
  readonly item: T;
  load: number;
  place: number;
}

function isBefore<T extends { readonly order: number }>(a: Entry<T>, b: Entry<T>): boolean {
  return a.load < b.load || (a.load === b.load && a.item.order < b.item.order);
}
