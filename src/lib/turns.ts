/** So many at a time; the others wait in order of arrival. */
export class Turns {
  #free: number;
  readonly #line: (() => void)[] = [];

  constructor(atATime: number) {
    this.#free = atATime;
  }

  /** Resolves when it is one's turn, with the function that ends it. */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#line.push(resolve));
    let mine = true;
    return () => {
      if (!mine) return;
      mine = false;
      const next = this.#line.shift();
      if (next) next();
      else this.#free += 1;
    };
  }
}
